/* Finds the socket of a TLS object that makes no system calls itself (Node, asyncio), by proof instead of by
 * likelihood. To receive, the program reads records from a socket and passes them to the library, which returns
 * the plaintext of one. To send, the library takes plaintext, and the program writes the record. The proof is in the
 * lengths: a record of application data is longer than its plaintext by 17 bytes (TLS 1.3, RFC 8446 section 5.2),
 * or by 24 or 16 (TLS 1.2 with AES-GCM, RFC 5288, or ChaCha20, RFC 7905).
 *
 * The state of a thread; events are outside of TLS calls unless stated:
 *
 *   in       event                                               next
 *   -------  --------------------------------------------------  --------------------------------------------
 *   nothing  reads records from a socket that carries TLS        read: the socket, the lengths of its records
 *   read     reads from the same socket                          read, with the latest of its records
 *   read     reads records from another socket                   unsure
 *   read     a TLS call returns the plaintext of one of them     nothing; the object is bound, if it is unbound
 *   any      a TLS call returns other plaintext                  nothing
 *   any      a TLS call to read returns none, and the last       nothing: they had none
 *            record was read to its end
 *   any      a handshake's call returns, and one record was read nothing: that record was the handshake's
 *
 *   out      event                                               next
 *   -------  --------------------------------------------------  --------------------------------------------
 *   nothing  a TLS call takes plaintext of an object             written: the object, the length
 *   written  another takes more of the same object               written, unchanged: it is in the first record
 *   written  another takes plaintext of another object           unsure
 *   written  writes a record of that length to a socket          nothing; the object is bound, if it is unbound
 *   any      writes anything else to a socket that carries TLS   nothing
 */

#define PROOFS 8192 /* threads */
#define PROOF_RECORDS 4 /* of one read: the handshake's end or session tickets may precede the response */
#define RECORD_MAX 16384 /* bytes of plaintext in one record */

struct tls_proof {
	u64 sk; /* 0 for nothing */
	u64 sk_generation;
	u64 object; /* 0 for nothing */
	u32 written;
	u32 unsure_in;
	u32 unsure_out;
	u32 many; /* records */
	u32 is_partial; /* the last of them is incomplete */
	u32 is_handshake; /* the latest read began with a handshake record */
	u64 at;   /* offset of the next one, while they are read */
	u64 read_sk; /* of the latest read, and the addresses that it wrote to (tls_rustls.c) */
	u64 read_generation;
	u64 read_from;
	u64 read_to;
	u16 records[PROOF_RECORDS]; /* lengths, 0 for none */
};

BPF_TABLE("lru_hash", u32, struct tls_proof, tls_proofs, PROOFS); /* by thread id */

static inline int record_fits(u32 record, u64 plaintext)
{
	u64 more = record - plaintext;
	return record && (more == 17 || more == 24 || more == 16);
}

/* The length of the record of application data at an address in user memory; 0 if there is none. `size` is set to
 * the size of the record with its head, whatever its type. */
static inline u16 record_at(u64 address, u64 *size)
{
	u8 head[5] = {};
	bpf_probe_read_user(head, sizeof(head), (void *)address);
	*size = 0;
	if (head[1] != 3 || (head[0] != 0x17 && head[0] != 0x14))
		return 0;
	*size = sizeof(head) + (head[3] << 8 | head[4]);
	return head[0] == 0x17 ? *size - sizeof(head) : 0;
}

/* Reads the records that begin at `base`. The counters are in a map, not on the stack: the verifier does not track
 * values in maps through every iteration of a loop. */
static inline void proof_of_read(struct tls_proof *proof, u64 sk, struct conn *conn, u64 base, u64 bytes)
{
	u64 size;
	u8 first = 0;
	bpf_probe_read_user(&first, 1, (void *)base);
	proof->read_sk = sk;
	proof->read_generation = conn->generation;
	proof->read_from = base;
	proof->read_to = base + bytes;
	proof->is_handshake = first == 0x16;
	if (proof->sk && (proof->sk != sk || proof->sk_generation != conn->generation)) {
		proof->unsure_in = 1;
		return;
	}
	proof->at = 0;
	for (int i = 0; i < PROOF_RECORDS + 1; i++) {
		u16 length;
		if (proof->at >= bytes)
			break;
		length = record_at(base + proof->at, &size);
		if (!size)
			break;
		if (length) {
			proof->records[proof->many & (PROOF_RECORDS - 1)] = length;
			proof->many++;
		}
		proof->at += size;
	}
	proof->is_partial = proof->at > bytes;
	if (proof->many) {
		proof->sk = sk;
		proof->sk_generation = conn->generation;
	}
}

/* Binds an object to its socket. A connection has one object: if another is bound to it, one of them is wrong. */
static inline void proof_bind(struct tls_conn *tls, u64 object, u64 sk, struct conn *conn)
{
	if (tls_is_bound(tls) || (conn->bound_object && conn->bound_object != object))
		return;
	conn->bound_object = object;
	tls_bind(tls, sk, conn);
}

static inline void proof_of_write(struct tls_proof *proof, u64 sk, struct conn *conn, u64 base)
{
	struct tls_key key = {.object = proof->object, .tgid = bpf_get_current_pid_tgid() >> 32};
	struct tls_conn *tls;
	u64 size;
	u32 fits;
	if (!proof->object)
		return;
	fits = !proof->unsure_out && record_fits(record_at(base, &size), proof->written);
	proof->object = 0;
	proof->unsure_out = 0;
	tls = fits ? tls_conns.lookup(&key) : 0;
	if (tls)
		proof_bind(tls, key.object, sk, conn);
}

/* Records that the first bytes this thread read from a socket begin a handshake. */
static inline void proof_of_handshake(void)
{
	struct tls_proof none = {}, *proof;
	u32 tid = bpf_get_current_pid_tgid();
	proof = tls_proofs.lookup_or_try_init(&tid, &none);
	if (proof)
		proof->is_handshake = 1;
}

/* Handles bytes that passed on a TLS socket outside of a TLS call, beginning at `base`. */
static inline void proof_by_socket(u64 sk, struct conn *conn, u16 direction, u64 base, u64 bytes)
{
	struct tls_proof none = {}, *proof;
	u32 tid = bpf_get_current_pid_tgid();
	proof = tls_proofs.lookup_or_try_init(&tid, &none);
	if (!proof)
		return;
	if (direction == DIRECTION_RECEIVED)
		proof_of_read(proof, sk, conn, base, bytes);
	else
		proof_of_write(proof, sk, conn, base);
}

/* Handles the return of a TLS call that made no system call; `bytes` of plaintext passed. */
static inline void proof_by_library(struct tls_call *call, struct tls_conn *tls, u64 bytes)
{
	u32 tid = bpf_get_current_pid_tgid(), fits = 0;
	struct tls_proof *proof = tls_proofs.lookup(&tid);
	struct conn *conn;
	if (!proof)
		return;
	if (call->direction == DIRECTION_SENT && bytes) {
		if (proof->object && proof->object != call->object)
			proof->unsure_out = 1;
		if (!proof->object) {
			proof->object = call->object;
			proof->written = bytes < RECORD_MAX ? bytes : RECORD_MAX;
		}
		return;
	}
	if (!bytes && proof->is_handshake && !tls->position[0] && !tls->position[1]) {
		tls->flags |= CONN_FROM_START; /* the handshake is not over: no plaintext has passed */
		start_body_tracks(&tls->tracks);
	}
	proof->is_handshake = 0;
	if (!bytes && (call->plaintext ? proof->is_partial : proof->many > 1))
		return;
	for (int i = 0; i < PROOF_RECORDS; i++)
		fits |= record_fits(proof->records[i], bytes);
	if (fits && bytes && proof->sk && !proof->unsure_in) {
		conn = conns.lookup(&proof->sk);
		if (conn && conn->generation == proof->sk_generation)
			proof_bind(tls, call->object, proof->sk, conn);
	}
	proof->sk = 0;
	proof->unsure_in = 0;
	proof->many = 0;
	__builtin_memset(proof->records, 0, sizeof(proof->records));
}
