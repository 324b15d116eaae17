/* Which socket feeds a TLS object that makes no system call of its own (Node, asyncio): by proof, never by
 * likelihood. The program reads records from a socket and hands them to the library, which returns the plaintext
 * of one; on the way out it takes plaintext, and the program writes the record. The lengths tell: a record of
 * application data is longer than its plaintext by 17 bytes (TLS 1.3, RFC 8446 section 5.2), or by 24 or 16
 * (TLS 1.2 with AES-GCM, RFC 5288, or ChaCha20, RFC 7905).
 *
 * What a thread has done, outside of TLS calls unless they are named:
 *
 *   in       event                                               next
 *   -------  --------------------------------------------------  --------------------------------------------
 *   nothing  reads records from a socket that carries TLS        read: the socket, the lengths of its records
 *   read     reads from the same socket                          read, with the latest of its records
 *   read     reads records from another socket                   unsure
 *   read     a TLS call returns the plaintext of one of them     nothing; the object is bound, if it is unbound
 *   any      a TLS call returns other plaintext                  nothing
 *   any      a TLS call to read returns none, and the last       nothing: they held none
 *            record was read to its end
 *   any      a handshake's call returns, and one record was read nothing: that record was the handshake's
 *
 *   out      event                                               next
 *   -------  --------------------------------------------------  --------------------------------------------
 *   nothing  a TLS call takes plaintext of an object             written: the object, the length
 *   written  another takes more of the same object               written, as before: it is in the first record
 *   written  another takes plaintext of another object           unsure
 *   written  writes a record of that length to a socket          nothing; the object is bound, if it is unbound
 *   any      writes anything else to a socket that carries TLS   nothing
 */

#define PROOFS 8192 /* threads */
#define PROOF_RECORDS 4 /* of one read: a handshake's end or session tickets may come before the answer */
#define RECORD_MAX 16384 /* bytes of plaintext in one record */

struct tls_proof {
	u64 sk; /* 0 for nothing */
	u64 sk_generation;
	u64 object; /* 0 for nothing */
	u32 written;
	u32 unsure_in;
	u32 unsure_out;
	u32 many; /* records */
	u32 is_partial; /* the last of them is not there to its end */
	u32 is_handshake; /* the latest read began with one of a handshake */
	u64 at;   /* where the next one begins, while they are read */
	u16 records[PROOF_RECORDS]; /* lengths, 0 for none */
};

BPF_TABLE("lru_hash", u32, struct tls_proof, tls_proofs, PROOFS); /* by thread id */

static inline int record_fits(u32 record, u64 plaintext)
{
	u64 more = record - plaintext;
	return record && (more == 17 || more == 24 || more == 16);
}

/* The length of a record of application data at an address in user memory; 0 where there is none. `size` is that
 * of the record with its head, whatever it holds. */
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

/* What is at `base`: records that begin there. The counts are in a map, not on the stack: what the verifier does
 * not know it need not follow through every turn of the loop. */
static inline void proof_of_read(struct tls_proof *proof, u64 sk, struct conn *conn, u64 base, u64 bytes)
{
	u64 size;
	u8 first = 0;
	bpf_probe_read_user(&first, 1, (void *)base);
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

/* A socket feeds one object in its life: where another was bound to it, one of the two would be wrong. */
static inline void proof_bind(struct tls_conn *tls, u64 object, u64 sk, struct conn *conn)
{
	if (tls->sk || (conn->bound_object && conn->bound_object != object))
		return;
	conn->bound_object = object;
	tls->sk = sk;
	tls->sk_generation = conn->generation;
	tls->tuple = conn->tuple;
	tls->flags |= conn->counter == COUNT_FILTERED ? CONN_FILTERED : 0;
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

/* The first bytes that this thread read from a socket begin a handshake. */
static inline void proof_of_handshake(void)
{
	struct tls_proof none = {}, *proof;
	u32 tid = bpf_get_current_pid_tgid();
	proof = tls_proofs.lookup_or_try_init(&tid, &none);
	if (proof)
		proof->is_handshake = 1;
}

/* Bytes passed on a socket that carries TLS, outside of a TLS call; the first of them are at `base`. */
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

/* A TLS call returned that made no system call; `bytes` of plaintext passed. */
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
		tls->flags |= CONN_FROM_START; /* its handshake goes on: no plaintext passed before */
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
