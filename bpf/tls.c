/* Captures plaintext at entry and return of the TLS library functions that a row of agent/probes/tls.py names. It
 * relies on the public ABI only, so no release needs its own offsets. Each entry is stored by thread (tls_call.h)
 * and consumed by the return, so a probe attached twice counts once.
 *
 * A library is a row there, and entry programs here that know which arguments are the buffer and the length. */

/* From Linux 6.13 on a program of this type whose stack reaches 64 bytes is given one stack per CPU
 * (bpf_enable_priv_stack() and BPF_PRIV_STACK_MIN_SIZE in kernel/bpf/verifier.c), yet a program on a uprobe can
 * be preempted, and the next task on the CPU would overwrite it. A program that can make a tail call keeps the
 * stack of its task. This one is made only while capture is disabled, into an empty array, and so has no effect.
 * Every uprobe program has it, even a small one, since the compiler decides how much stack a program uses.
 * agent/probes/private_stack.py checks each program before it is attached. */
BPF_PROG_ARRAY(no_program, 1);

static inline int is_disabled(struct pt_regs *ctx)
{
	if (!setting(SETTING_DISABLED))
		return 0;
	no_program.call(ctx, 0);
	return 1;
}

/* The call that begins, 0 if it is not remembered. */
static inline struct tls_call *tls_begin_on(struct pt_regs *ctx, u64 object, u64 buffer, u8 source, u32 direction,
					    u8 plaintext, u64 length)
{
	struct tls_call *call;
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = id;
	if (is_disabled(ctx) || !process_is_watched(id >> 32))
		return 0;
	call = tls_call_of(tid);
	if (!call) {
		/* Its bytes are not counted: a new connection must begin, or its positions would be wrong. */
		struct tls_key key = {.object = object, .tgid = id >> 32};
		count(COUNT_TABLE_FULL_CALLS, 1);
		tls_conns.delete(&key);
		return 0;
	}
	call->is_nested = call->object && call->stack > PT_REGS_SP(ctx);
	if (call->is_nested)
		outer_tls_calls.update(&tid, call);
	call->object = object;
	call->sk = 0;
	call->stack = PT_REGS_SP(ctx);
	call->buffer = plaintext == PLAINTEXT_BUFFER ? buffer : 0;
	call->length = length;
	call->direction = direction;
	call->source = source;
	call->plaintext = plaintext;
	call->time_ns = bpf_ktime_get_ns();
	return call;
}

static inline struct tls_call *tls_begin(struct pt_regs *ctx, u8 source, u32 direction, u8 plaintext, u64 length)
{
	return tls_begin_on(ctx, PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), source, direction, plaintext, length);
}

static inline int tls_enter(struct pt_regs *ctx, u8 source, u32 direction, u8 plaintext, u64 length)
{
	tls_begin(ctx, source, direction, plaintext, length);
	return 0;
}

static inline void tls_report_closed(u8 source, struct tls_key *key, struct tls_conn *conn)
{
	struct scratch *scratch = take_scratch();
	if (!scratch)
		return;
	fill_head(&scratch->head, EVENT_CLOSED, source, key->object, conn->generation, &conn->tuple);
	hand_over(scratch, 0);
	give_back(scratch);
}

/* Marks the connection as captured from its first byte of plaintext. */
static inline void tls_start(struct tls_conn *conn)
{
	conn->flags |= CONN_FROM_START;
	start_body_tracks(&conn->tracks);
}

/* Whether the socket's first bytes passed in a call of this connection, before any of its plaintext. */
static inline int tls_is_whole(struct tls_conn *conn, struct tls_key *key, struct conn *socket)
{
	return socket->tls_object == key->object && socket->tls_tgid == key->tgid && !conn->position[0] &&
	       !conn->position[1];
}

/* The connection of this call: created if new, and replaced if its object moved to another socket. */
static inline struct tls_conn *tls_conn_of(struct tls_key *key, struct tls_call *call)
{
	struct tls_conn fresh = {}, *conn = tls_conns.lookup(key);
	struct conn *socket = call->sk ? conn_of(call->sk) : 0;
	if (socket)
		tls_carried(socket);
	if (conn && socket && tls_is_bound(conn) &&
	    (conn->sk != call->sk || conn->sk_generation != socket->generation)) {
		tls_report_closed(call->source, key, conn);
		tls_conns.delete(key);
		conn = 0;
	}
	if (!conn) {
		fresh.generation = bpf_ktime_get_ns();
		if (!call->plaintext)
			tls_start(&fresh); /* the handshake is captured */
		tls_conns.insert(key, &fresh); /* fails if another thread was first: they share its connection */
		conn = tls_conns.lookup(key);
	}
	if (conn && socket && !(conn->flags & CONN_FROM_START) && tls_is_whole(conn, key, socket))
		tls_start(conn);
	if (conn && socket && !tls_is_bound(conn))
		tls_bind(conn, call->sk, socket);
	return conn;
}

/* Whether the connection is filtered. With port filters, a connection of unknown ports is. */
static inline int tls_is_filtered(struct tls_conn *conn)
{
	return conn->flags & CONN_FILTERED || (!tls_is_bound(conn) && setting(SETTING_PORTS));
}

/* The number of plaintext bytes that passed: returned by the function, or stored by it. */
static inline u64 tls_bytes(struct tls_call *call, s64 result)
{
	u64 bytes = result > 0 ? result : 0;
	if (call->length && result > 0) {
		bytes = 0;
		bpf_probe_read_user(&bytes, sizeof(bytes), (void *)call->length);
	}
	return bytes > 0x7fffffff || !call->plaintext || call->plaintext == PLAINTEXT_SHOWN ? 0 : bytes;
}

/* With `pieces` the bytes are in an array of buffers of the process, `skip` bytes into the first one. */
static inline void tls_ship(struct tls_call *call, struct tls_conn *conn, u64 bytes, u64 pieces, u64 skip)
{
	u32 side = call->direction & 1;
	struct scratch *scratch = take_scratch();
	if (!scratch) {
		conn->position[side] += bytes;
		count(COUNT_RING_FULL, bytes);
		return;
	}
	fill_head(&scratch->head, EVENT_CHUNK, call->source, call->object, conn->generation, &conn->tuple);
	if (call->direction == DIRECTION_SENT)
		scratch->head.time_ns = call->time_ns;
	scratch->head.direction = call->direction;
	scratch->head.from_start = conn->flags & CONN_FROM_START;
	__builtin_memset(&scratch->walk, 0, sizeof(scratch->walk));
	scratch->walk.base = call->buffer;
	scratch->walk.room = bytes;
	scratch->walk.left = bytes;
	scratch->walk.total = bytes;
	scratch->walk.blind = call->plaintext != PLAINTEXT_BUFFER;
	if (pieces) {
		scratch->walk.of_user = 1;
		scratch->walk.iov = pieces;
		next_buffer(&scratch->walk);
		scratch->walk.base += skip;
		scratch->walk.room -= skip;
	}
	plan_copy(scratch, &conn->tracks, side, conn->position[side]);
	conn->position[side] = ship(scratch, conn->position[side]);
	give_back(scratch);
}

/* So many bytes of plaintext passed in a call. */
static inline void tls_passed_from(struct tls_call *call, struct tls_key *key, struct tls_conn *conn, u64 bytes,
				   u64 pieces, u64 skip)
{
	u32 counter;
	if (tls_is_filtered(conn)) {
		conn->position[call->direction & 1] += bytes; /* a gap, if the socket becomes known later */
		count(COUNT_FILTERED, bytes);
	} else if ((counter = ignored_as(key->object, conn->generation))) {
		count(counter, bytes);
	} else if (is_sampled_out(&conn->tuple)) {
		conn->position[call->direction & 1] += bytes; /* a gap, once all are captured again */
		count(COUNT_SAMPLED_OUT, bytes);
	} else {
		tls_ship(call, conn, bytes, pieces, skip);
	}
}

static inline void tls_passed(struct tls_call *call, struct tls_key *key, struct tls_conn *conn, u64 bytes)
{
	tls_passed_from(call, key, conn, bytes, 0, 0);
}

static inline int tls_exit(struct pt_regs *ctx, s64 result)
{
	struct tls_call call, *found;
	struct tls_key key = {};
	struct tls_conn *conn;
	u64 id = bpf_get_current_pid_tgid(), bytes;
	u32 tid = id;

	found = tls_calls.lookup(&tid);
	if (!found || !found->object)
		return 0;
	call = *found;
	tls_leave(PT_REGS_SP(ctx), tid, found);
	if (is_disabled(ctx))
		return 0;
	key.object = call.object;
	key.tgid = id >> 32;
	bytes = tls_bytes(&call, result);
	count(COUNT_SEEN, bytes);
	conn = tls_conn_of(&key, &call);
	if (!conn)
		count(COUNT_TABLE_FULL, bytes);
	else if (!call.sk)
		proof_by_library(&call, conn, bytes);
	if (conn && bytes)
		tls_passed(&call, &key, conn, bytes);
	return 0;
}

static inline int tls_end(struct pt_regs *ctx, u8 source, u64 object)
{
	struct tls_key key = {};
	struct tls_conn *conn;
	key.object = object;
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	conn = tls_conns.lookup(&key);
	if (!conn)
		return 0;
	if (!is_disabled(ctx) && !tls_is_filtered(conn))
		tls_report_closed(source, &key, conn);
	tls_conns.delete(&key);
	return 0;
}

/* OpenSSL: the _ex functions return 1 and store the number of bytes at the address in the fourth argument. */

int openssl_read(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_OPENSSL, DIRECTION_RECEIVED, PLAINTEXT_BUFFER, 0);
}

int openssl_write(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_OPENSSL, DIRECTION_SENT, PLAINTEXT_BUFFER, 0);
}

int openssl_read_ex(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_OPENSSL, DIRECTION_RECEIVED, PLAINTEXT_BUFFER, PT_REGS_PARM4(ctx));
}

int openssl_write_ex(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_OPENSSL, DIRECTION_SENT, PLAINTEXT_BUFFER, PT_REGS_PARM4(ctx));
}

/* BIO_f_ssl: the first argument is a BIO, whose method follows a pointer to the library's context in OpenSSL 3, and
 * comes first in 1.1.1. From there on both are laid out alike: `ptr` is 56 bytes on, and what it points to begins
 * with the SSL. The method's type tells which of the two it is; nothing else is believed. */

#define BIO_TYPE_SSL 0x207
#define BIO_METHOD_TO_PTR 56

static inline u64 user_u64(u64 address)
{
	u64 value = 0;
	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

static inline int is_ssl_method(u64 place)
{
	return (u32)user_u64(user_u64(place)) == BIO_TYPE_SSL;
}

static inline int bio_enter(struct pt_regs *ctx, u32 direction)
{
	struct tls_call *call =
		tls_begin(ctx, SOURCE_OPENSSL, direction, PLAINTEXT_BUFFER, PT_REGS_PARM4(ctx));
	u64 place, ssl;
	if (!call)
		return 0;
	place = call->object;
	if (!is_ssl_method(place))
		place += 8;
	if (!is_ssl_method(place))
		return 0; /* the BIO stands for its connection */
	ssl = user_u64(user_u64(place + BIO_METHOD_TO_PTR));
	if (ssl)
		call->object = ssl;
	return 0;
}

int openssl_bio_read(struct pt_regs *ctx)
{
	return bio_enter(ctx, DIRECTION_RECEIVED);
}

int openssl_bio_write(struct pt_regs *ctx)
{
	return bio_enter(ctx, DIRECTION_SENT);
}

int openssl_sendfile(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_OPENSSL, DIRECTION_SENT, PLAINTEXT_FILE, 0);
}

int openssl_plain(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_OPENSSL, 0, PLAINTEXT_NONE, 0);
}

int openssl_return(struct pt_regs *ctx)
{
	return tls_exit(ctx, (int)PT_REGS_RC(ctx));
}

int openssl_free(struct pt_regs *ctx)
{
	return tls_end(ctx, SOURCE_OPENSSL, PT_REGS_PARM1(ctx));
}

/* GnuTLS: each call returns the length, or an error below 0; one that is not finished returns an error, and is made
 * again with the same buffer, or with none. What is sent while the session is corked leaves by the uncorking. */

int gnutls_read(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_GNUTLS, DIRECTION_RECEIVED, PLAINTEXT_BUFFER, 0);
}

int gnutls_write(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_GNUTLS, DIRECTION_SENT, PT_REGS_PARM2(ctx) ? PLAINTEXT_BUFFER : PLAINTEXT_KEPT,
			 0);
}

int gnutls_flush(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_GNUTLS, DIRECTION_SENT, PLAINTEXT_SHOWN, 0);
}

int gnutls_plain(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_GNUTLS, 0, PLAINTEXT_NONE, 0);
}

int gnutls_return(struct pt_regs *ctx)
{
	return tls_exit(ctx, PT_REGS_RC(ctx));
}

int gnutls_free(struct pt_regs *ctx)
{
	return tls_end(ctx, SOURCE_GNUTLS, PT_REGS_PARM1(ctx));
}

/* BoringSSL, where it has no symbols: its functions are OpenSSL's without the _ex forms. */

int boringssl_read(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_BORINGSSL, DIRECTION_RECEIVED, PLAINTEXT_BUFFER, 0);
}

int boringssl_write(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_BORINGSSL, DIRECTION_SENT, PLAINTEXT_BUFFER, 0);
}

int boringssl_plain(struct pt_regs *ctx)
{
	return tls_enter(ctx, SOURCE_BORINGSSL, 0, PLAINTEXT_NONE, 0);
}

int boringssl_free(struct pt_regs *ctx)
{
	return tls_end(ctx, SOURCE_BORINGSSL, PT_REGS_PARM1(ctx));
}

/* Conscrypt's BoringSSL, as Java calls it. The arguments follow JNI's own two: the SSL, who holds it, then a buffer. */

static inline int conscrypt_enter(struct pt_regs *ctx, u32 direction, u8 plaintext)
{
	tls_begin_on(ctx, PT_REGS_PARM3(ctx), PT_REGS_PARM5(ctx), SOURCE_BORINGSSL, direction, plaintext, 0);
	return 0;
}

int conscrypt_read(struct pt_regs *ctx)
{
	return conscrypt_enter(ctx, DIRECTION_RECEIVED, PLAINTEXT_BUFFER);
}

int conscrypt_write(struct pt_regs *ctx)
{
	return conscrypt_enter(ctx, DIRECTION_SENT, PLAINTEXT_BUFFER);
}

int conscrypt_plain(struct pt_regs *ctx)
{
	return conscrypt_enter(ctx, 0, PLAINTEXT_NONE);
}

int conscrypt_free(struct pt_regs *ctx)
{
	return tls_end(ctx, SOURCE_BORINGSSL, PT_REGS_PARM3(ctx));
}
