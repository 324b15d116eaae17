/* Java's own TLS: the functions of a library that agent/java puts into a virtual machine, and that do nothing. Each
 * is called once plaintext has passed (what an SSLSocket sends: just before), so no call is remembered, and a
 * virtual thread may move to another thread at any time.
 *
 * A connection is numbered by agent/java. Its socket is known by the descriptor of an SSLSocket. An SSLEngine has
 * none: the random of its client's hello tells it, which passed on the socket before the handshake was over, and
 * else the lengths of its records (tls_proof.h).
 *
 *   event        what is done
 *   -----------  ---------------------------------------------------------------------------------------------------
 *   handshake    it is over: the connection is captured from its start, its socket is known
 *   sent         ship the bytes
 *   received     ship the bytes
 *   end          the connection is over
 *
 * Arguments follow JNI's own two: the connection's number, a descriptor or one of the values below, then what the
 * function names. */

#define JAVA_CLIENT_ENGINE -1
#define JAVA_SERVER_ENGINE -2

static inline u64 java_socket(s32 descriptor, u64 random)
{
	struct hello_key key = {.random = random, .tgid = bpf_get_current_pid_tgid() >> 32};
	struct hello_socket *found;
	struct conn *conn;
	if (descriptor >= 0)
		return socket_of(descriptor);
	if (!random)
		return 0;
	key.direction = descriptor == JAVA_CLIENT_ENGINE ? DIRECTION_SENT : DIRECTION_RECEIVED;
	found = hello_sockets.lookup(&key);
	if (!found)
		return 0;
	conn = conns.lookup(&found->sk);
	return conn && conn->generation == found->generation ? found->sk : 0;
}

/* A socket is believed if no other connection is known to use it; one that is not from a descriptor, if it carries
 * TLS. */
static inline void java_find_socket(struct tls_call *call, struct tls_key *key, s32 descriptor, u64 random)
{
	struct tls_conn *tls = tls_conns.lookup(key);
	struct conn *conn;
	u64 sk;
	if (tls && tls_is_bound(tls))
		return;
	sk = java_socket(descriptor, random);
	conn = sk ? known_conn(sk) : 0;
	if (!conn || (descriptor < 0 && conn->counter != COUNT_TLS_CIPHERTEXT && conn->counter != COUNT_FILTERED))
		return;
	if (conn->bound_object && conn->bound_object != key->object)
		return;
	conn->bound_object = key->object;
	call->sk = sk;
}

static inline void java_passed(struct pt_regs *ctx, u32 direction)
{
	struct tls_key key = {.object = PT_REGS_PARM3(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};
	struct tls_call call = {.source = SOURCE_JAVA, .plaintext = PLAINTEXT_BUFFER, .direction = direction};
	u64 bytes = PT_REGS_PARM6(ctx) & 0x7fffffff;
	struct tls_conn *conn;
	if (is_disabled(ctx) || !process_is_watched(key.tgid))
		return;
	call.object = key.object;
	call.buffer = PT_REGS_PARM5(ctx);
	call.time_ns = bpf_ktime_get_ns();
	java_find_socket(&call, &key, PT_REGS_PARM4(ctx), 0);
	count(COUNT_SEEN, bytes);
	conn = tls_conn_of(&key, &call);
	if (!conn) {
		count(COUNT_TABLE_FULL, bytes);
		return;
	}
	if (!tls_is_bound(conn))
		proof_by_library(&call, conn, bytes);
	if (bytes)
		tls_passed(&call, &key, conn, bytes);
}

int java_sent(struct pt_regs *ctx)
{
	java_passed(ctx, DIRECTION_SENT);
	return 0;
}

int java_received(struct pt_regs *ctx)
{
	java_passed(ctx, DIRECTION_RECEIVED);
	return 0;
}

/* A handshake of a connection that is known is a renegotiation. */
int java_handshake(struct pt_regs *ctx)
{
	struct tls_key key = {.object = PT_REGS_PARM3(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};
	struct tls_call call = {.source = SOURCE_JAVA, .plaintext = PLAINTEXT_NONE};
	if (is_disabled(ctx) || !process_is_watched(key.tgid))
		return 0;
	call.object = key.object;
	java_find_socket(&call, &key, PT_REGS_PARM4(ctx), PT_REGS_PARM5(ctx));
	tls_conn_of(&key, &call);
	return 0;
}

int java_end(struct pt_regs *ctx)
{
	return tls_end(ctx, SOURCE_JAVA, PT_REGS_PARM3(ctx));
}
