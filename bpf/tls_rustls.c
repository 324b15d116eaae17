/* rustls, where a program has symbols (agent/probes/rustls.py). It makes no system calls, and its functions are
 * inlined and named differently in each program, except those that it calls through a `dyn` trait:
 *
 *   function                       is given                                      what is done
 *   -----------------------------  --------------------------------------------  ---------------------------------
 *   MessageEncrypter::encrypt      the encrypter, plaintext, number of a record  ship the plaintext
 *   MessageDecrypter::decrypt      the decrypter, a record, its number           remember the record by thread
 *   State::handle of ExpectTraffic the connection, the message in that record    ship the plaintext, which took the
 *                                                                                record's place
 *
 * An encrypter stands for its connection, where it and the decrypter are neighbours (struct RecordLayer of
 * record_layer.rs). The connection itself may be moved.
 *
 * A record that lies in what this thread read last, and nothing else has been read there since, came from that socket:
 * so a decrypter is bound to it, for life. Each counts its records from 0: another number than the next one is another
 * life of its address, or records were missed.
 *
 *   event      number    next life of      what is done
 *   ---------  --------  ----------------  ----------------------------------------------------------------------
 *   encrypts   the next  -                 ship
 *   encrypts   another   the encrypter     its connection is over; a new one, from its start if the number is 0
 *   decrypts   the next  -                 bind, if not bound
 *   decrypts   another   the decrypter     bind; paired with no encrypter yet
 *   traffic    -         -                 pair, if not paired: the encrypter is new, or has no decrypter, or has the
 *                                          same socket (keys were updated); else its connection is over
 *   closed     -         -                 the socket's end ends its connection (lifecycle.c)
 *
 * What does not have the layout that is expected (tls_rustls.h) is not captured. Arguments follow the address of the
 * result. */

#define RUSTLS_RECEIVER(ctx) PT_REGS_PARM2(ctx)
#define RUSTLS_MESSAGE(ctx) PT_REGS_PARM3(ctx)
#define RUSTLS_NUMBER(ctx) PT_REGS_PARM4(ctx)
#define RUSTLS_CONTEXT(ctx) PT_REGS_PARM3(ctx)
#define RUSTLS_PLAIN_MESSAGE(ctx) PT_REGS_PARM4(ctx)

#define RUSTLS_ANY (~0ull)

/* An encrypter or a decrypter. */
struct rustls_half {
	u64 next;  /* number of its next record; RUSTLS_ANY while unknown */
	u64 other; /* the encrypter of a decrypter and the reverse, 0 while unknown */
	u64 sk;    /* of a decrypter, 0 while unknown */
	u64 sk_generation;
	u32 from_start; /* all its records were seen */
	u32 padding;
};

BPF_TABLE("lru_hash", struct tls_key, struct rustls_half, rustls_halves, SIZED);
BPF_TABLE("lru_hash", u32, struct rustls_record, rustls_records, PROOFS); /* by thread id */

static inline struct rustls_half *rustls_renewed(struct tls_key *key, u64 next, u32 from_start)
{
	struct rustls_half fresh = {.next = next, .from_start = from_start};
	rustls_halves.update(key, &fresh);
	return rustls_halves.lookup(key);
}

/* A connection that is new begins here, from its start or in the middle. */
static inline struct tls_conn *rustls_conn_of(struct tls_key *key, struct tls_call *call, u32 from_start)
{
	int is_known = tls_conns.lookup(key) != 0;
	struct tls_conn *conn = tls_conn_of(key, call);
	if (conn && !is_known && from_start)
		tls_start(conn);
	return conn;
}

/* Whether the record is the next one of this encrypter's life. One that was paired before it encrypted anything may
 * have the count of an earlier life. */
static inline int rustls_is_next(struct tls_key *key, struct rustls_half *half, u64 number)
{
	struct tls_conn *conn;
	if (half->next == number || half->next == RUSTLS_ANY)
		return 1;
	if (number || !half->other)
		return 0;
	conn = tls_conns.lookup(key);
	return conn && !conn->position[DIRECTION_SENT];
}

int rustls_encrypt(struct pt_regs *ctx)
{
	struct tls_key key = {.object = RUSTLS_RECEIVER(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};
	struct tls_call call = {.source = SOURCE_RUSTLS, .plaintext = PLAINTEXT_BUFFER, .direction = DIRECTION_SENT};
	u64 number = RUSTLS_NUMBER(ctx), bytes, pieces = 0, skip = 0;
	struct rustls_half *half;
	struct tls_conn *conn;
	u8 type = 0;
	if (is_disabled(ctx) || !process_is_watched(key.tgid))
		return 0;
	half = rustls_halves.lookup(&key);
	if (!half || !rustls_is_next(&key, half, number)) {
		tls_end(ctx, SOURCE_RUSTLS, key.object);
		half = rustls_renewed(&key, number, !number);
	}
	if (!half)
		return 0;
	half->next = number + 1;
	bpf_probe_read_user(&type, sizeof(type), (void *)(RUSTLS_MESSAGE(ctx) + RUSTLS_TYPE));
	if (type != RUSTLS_APPLICATION_DATA)
		return 0;
	bytes = rustls_plaintext(RUSTLS_MESSAGE(ctx), &call, &pieces, &skip);
	if (!bytes || bytes > RECORD_MAX)
		return 0;
	call.object = key.object;
	call.time_ns = bpf_ktime_get_ns();
	count(COUNT_SEEN, bytes);
	conn = rustls_conn_of(&key, &call, half->from_start);
	if (conn)
		tls_passed_from(&call, &key, conn, bytes, pieces, skip);
	else
		count(COUNT_TABLE_FULL, bytes);
	return 0;
}

/* The socket of a record, if this thread read its end last. */
static inline void rustls_find_socket(struct rustls_half *half, u64 end)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct tls_proof *proof = tls_proofs.lookup(&tid);
	struct conn *conn;
	if (half->sk || !proof || end <= proof->read_from || end > proof->read_to)
		return;
	conn = conns.lookup(&proof->read_sk);
	if (!conn || conn->generation != proof->read_generation)
		return;
	half->sk = proof->read_sk;
	half->sk_generation = proof->read_generation;
}

int rustls_decrypt(struct pt_regs *ctx)
{
	struct tls_key key = {.object = RUSTLS_RECEIVER(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};
	struct rustls_record record = {.decrypter = key.object};
	u64 number = RUSTLS_NUMBER(ctx);
	u32 tid = bpf_get_current_pid_tgid();
	struct rustls_half *half;
	if (is_disabled(ctx) || !process_is_watched(key.tgid))
		return 0;
	half = rustls_halves.lookup(&key);
	if (!half || half->next != number)
		half = rustls_renewed(&key, number, !number);
	if (!half)
		return 0;
	half->next = number + 1;
	rustls_find_socket(half, rustls_find_record(&record, RUSTLS_MESSAGE(ctx)));
	rustls_records.update(&tid, &record);
	return 0;
}

static inline int rustls_is_on_socket(struct tls_key *encrypter, struct rustls_half *decrypter)
{
	struct tls_conn *conn = tls_conns.lookup(encrypter);
	return conn && decrypter->sk && conn->sk == decrypter->sk && conn->sk_generation == decrypter->sk_generation;
}

/* Pairs the two halves of a connection. Returns the encrypter's, 0 if it finds no room. */
static inline struct rustls_half *rustls_pair(struct pt_regs *ctx, struct tls_key *encrypter,
					      struct rustls_half *decrypter, u64 object)
{
	struct rustls_half *half = rustls_halves.lookup(encrypter);
	if (half && decrypter->other == encrypter->object && half->other == object)
		return half;
	if (!half || (half->other && (!decrypter->from_start || !rustls_is_on_socket(encrypter, decrypter)))) {
		tls_end(ctx, SOURCE_RUSTLS, encrypter->object);
		half = rustls_renewed(encrypter, RUSTLS_ANY, decrypter->from_start);
	}
	if (half)
		half->other = object;
	decrypter->other = encrypter->object;
	return half;
}

/* The end of the socket is to end this connection. */
static inline void rustls_own_socket(struct tls_key *key, struct rustls_half *decrypter)
{
	struct conn *conn = decrypter->sk ? conns.lookup(&decrypter->sk) : 0;
	if (!conn || conn->generation != decrypter->sk_generation)
		return;
	conn->bound_object = key->object;
	conn->tls_tgid = key->tgid;
	conn->flags |= CONN_ENDS_TLS;
}

static inline int rustls_traffic(struct pt_regs *ctx, int is_newer)
{
	struct tls_key key = {.tgid = bpf_get_current_pid_tgid() >> 32}, from = {.tgid = key.tgid};
	struct tls_call call = {
		.source = SOURCE_RUSTLS, .plaintext = PLAINTEXT_BUFFER, .direction = DIRECTION_RECEIVED};
	KEY(tid, bpf_get_current_pid_tgid());
	struct rustls_record *record = rustls_records.lookup(tid);
	struct rustls_half *half, *other;
	struct tls_conn *conn = 0;
	u64 bytes;
	if (!record || !record->payload || is_disabled(ctx))
		return 0;
	from.object = record->decrypter;
	bytes = rustls_received(RUSTLS_PLAIN_MESSAGE(ctx), record, &call, is_newer);
	record->payload = 0;
	if (!bytes)
		return 0;
	count(COUNT_SEEN, bytes);
	key.object = rustls_encrypter(RUSTLS_CONTEXT(ctx), from.object, key.tgid);
	half = key.object ? rustls_halves.lookup(&from) : 0;
	other = half ? rustls_pair(ctx, &key, half, from.object) : 0;
	if (other) {
		call.object = key.object;
		call.sk = half->sk;
		call.time_ns = bpf_ktime_get_ns();
		conn = rustls_conn_of(&key, &call, half->from_start && other->from_start);
		rustls_own_socket(&key, half);
	}
	if (conn)
		tls_passed(&call, &key, conn, bytes);
	else
		count(COUNT_TABLE_FULL, bytes);
	return 0;
}

int rustls_traffic_newer(struct pt_regs *ctx)
{
	return rustls_traffic(ctx, 1);
}

int rustls_traffic_older(struct pt_regs *ctx)
{
	return rustls_traffic(ctx, 0);
}
