/* Go's crypto/tls, at the entry of its functions and at each instruction that returns (agent/probes/go.py).
 *
 * A goroutine moves between threads while it waits, and its stack may be moved: a call is remembered by goroutine and
 * by its distance from the top of the stack, which stays what it is when a stack is copied. So a call within a call
 * is another one (TLS to a proxy carries TLS to the server). Since many goroutines share a thread, a system call does
 * not tell whose socket it is: that is found by the connection itself.
 *
 * A connection whose handshake was not seen begins with the next read, not with a write: a read that was entered
 * before its function was probed may wait for the answer, which then passes unseen.
 *
 *   event          the call is   what is done
 *   -------------  ------------  ---------------------------------------------------------------------------
 *   handshake      -             the connection is seen from its start; one of its object before is over
 *   write          -             ship what is to pass, as the answer may be read before the call returns; one that
 *                                fails leaves no connection. If none is known: remember the call, whose handshake
 *                                may be yet to come
 *   read           new           remember the object, the buffer, the time; the connection has a call more. If none is
 *                                known, it begins here; if an earlier read of it is not known to have returned, anew
 *   return         known         ship what passed, unless it is a write and no connection is known yet; the last call
 *                                of a closed connection ends it
 *   return         unknown       nothing: a write, or an entry that was not seen
 *   close          -             the connection is over once no call is in it
 *
 * Arguments and results are in registers (ABIInternal of cmd/compile/abi-internal.md). */

#ifdef bpf_target_arm64 /* no program is probed there (agent/probes/go.py) */
#define GO_GOROUTINE(ctx) (((PT_REGS_ARM64 *)(ctx))->regs[28])
#define GO_RECEIVER(ctx) PT_REGS_PARM1(ctx)
#define GO_BUFFER(ctx) PT_REGS_PARM2(ctx)
#define GO_LENGTH(ctx) PT_REGS_PARM3(ctx)
#else
#define GO_GOROUTINE(ctx) ((ctx)->r14)
#define GO_RECEIVER(ctx) ((ctx)->ax)
#define GO_BUFFER(ctx) ((ctx)->bx)
#define GO_LENGTH(ctx) ((ctx)->cx)
#endif
#define GO_RESULT(ctx) GO_RECEIVER(ctx)

#define SOCK_STREAM 1

/* Offsets of what has not changed since before Go 1.18: struct g of runtime/runtime2.go begins with its stack;
 * crypto/tls.Conn with the interface of the connection below; net.TCPConn is a pointer to net.netFD. */
#define GO_STACK_LOW 0
#define GO_STACK_HIGH 8
#define GO_BELOW_TABLE 0 /* the interface: its table of methods, and the pointer to its value */
#define GO_BELOW 8
#define GO_FD_NUMBER 16
#define GO_FD_FAMILY 56 /* and the type of socket after it */
#define GO_FD_NET 80    /* a string */
#define GO_TABLE_TYPE 8 /* of runtime.itab; an abi.Type begins with its size */
#define GO_TYPE_KIND 23
#define GO_TYPE_ELEMENT 48 /* of a type of pointers */
#define GO_KIND_MASK 31
#define GO_KIND_POINTER 22
#define GO_WRAPPER_WORDS 16

struct go_call_key {
	u64 goroutine;
	u32 depth; /* from the top of its stack */
	u32 tgid;
};

struct go_call {
	u64 object;
	u64 buffer;
	u64 from_top; /* not 0: the buffer is on the stack, so far from its top */
	u64 time_ns;
	u64 generation; /* of the connection that counts the call; 0 for none */
	u32 direction;
	u32 padding;
};

/* In each connection a goroutine waits, as a rule. Those that never return (a panic, a killed process) give way. */
BPF_TABLE("lru_hash", struct go_call_key, struct go_call, go_calls, SIZED);

static inline u64 read_user_u64(u64 address)
{
	u64 value = 0;
	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

/* Returns the top of the stack. */
static inline u64 go_place(struct pt_regs *ctx, struct go_call_key *place)
{
	u64 high = read_user_u64(GO_GOROUTINE(ctx) + GO_STACK_HIGH);
	place->goroutine = GO_GOROUTINE(ctx);
	place->depth = high - PT_REGS_SP(ctx);
	place->tgid = bpf_get_current_pid_tgid() >> 32;
	return high;
}

/* The generation of the connection that counts this call; 0 if none does. A read begins one that is not known. */
static inline u64 go_count_call(struct pt_regs *ctx, struct go_call_key *place, struct tls_key *key, u32 direction)
{
	struct tls_call late = {.object = key->object, .source = SOURCE_GO, .plaintext = PLAINTEXT_BUFFER};
	struct go_call *known = go_calls.lookup(place);
	struct tls_conn *conn =
		direction == DIRECTION_RECEIVED ? tls_conn_of(key, &late) : tls_conns.lookup(key);
	if (!conn || (known && known->object == key->object && known->generation == conn->generation))
		return conn ? conn->generation : 0;
	if (direction == DIRECTION_RECEIVED && *(volatile u32 *)&conn->calls) {
		/* Nobody reads twice at once: the read before gave way in go_calls, and returned unseen. */
		count(COUNT_TABLE_FULL_CALLS, 1);
		tls_end(ctx, SOURCE_GO, key->object);
		conn = tls_conn_of(key, &late);
		if (!conn)
			return 0;
	}
	__sync_fetch_and_add(&conn->calls, 1);
	return conn->generation;
}

static inline int go_enter(struct pt_regs *ctx, u32 direction)
{
	struct tls_key key = {.object = GO_RECEIVER(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};
	struct go_call_key place = {};
	struct go_call call = {};
	u64 high;
	if (is_disabled(ctx) || !process_is_watched(key.tgid))
		return 0;
	high = go_place(ctx, &place);
	call.object = GO_RECEIVER(ctx);
	call.buffer = GO_BUFFER(ctx);
	if (call.buffer < high && call.buffer >= read_user_u64(GO_GOROUTINE(ctx) + GO_STACK_LOW))
		call.from_top = high - call.buffer;
	call.time_ns = bpf_ktime_get_ns();
	call.generation = go_count_call(ctx, &place, &key, direction);
	call.direction = direction;
	if (go_calls.update(&place, &call)) {
		/* Its bytes will go by unseen: the connection must begin a new life, or positions would lie. */
		count(COUNT_TABLE_FULL_CALLS, 1);
		tls_conns.delete(&key);
	}
	return 0;
}

/* A connection is over once it was closed and no call is in it: one goroutine may close it while another returns. */
static inline void go_end_if_over(struct pt_regs *ctx, struct tls_key *key, struct tls_conn *conn)
{
	if (*(volatile u32 *)&conn->closed && !*(volatile u32 *)&conn->calls)
		tls_end(ctx, SOURCE_GO, key->object);
}

static inline void go_uncount_call(struct pt_regs *ctx, struct tls_key *key, u64 generation)
{
	struct tls_conn *conn = tls_conns.lookup(key);
	if (!conn || conn->generation != generation)
		return;
	__sync_fetch_and_add(&conn->calls, -1);
	go_end_if_over(ctx, key, conn);
}

/* The socket of what is taken for a *net.TCPConn; 0 if it is something else, which its netFD's family, type and
 * network tell: these are nowhere else in that order. */
static inline u64 go_socket_at(u64 tcp_conn)
{
	u64 netfd = read_user_u64(tcp_conn), kind[2] = {}, network[2] = {};
	u32 text = 0;
	bpf_probe_read_user(kind, sizeof(kind), (void *)(netfd + GO_FD_FAMILY));
	if ((kind[0] != AF_INET && kind[0] != AF_INET6) || kind[1] != SOCK_STREAM)
		return 0;
	bpf_probe_read_user(network, sizeof(network), (void *)(netfd + GO_FD_NET));
	bpf_probe_read_user(&text, 3, (void *)network[0]);
	if ((network[1] != 3 && network[1] != 4) || text != ('t' | 'c' << 8 | 'p' << 16))
		return 0;
	return socket_of(read_user_u64(netfd + GO_FD_NUMBER));
}

/* Bytes of the value of an interface with this table of methods, or of what it points to. */
static inline u64 go_size_of(u64 table)
{
	u64 type = read_user_u64(table + GO_TABLE_TYPE);
	u8 kind = 0;
	bpf_probe_read_user(&kind, sizeof(kind), (void *)(type + GO_TYPE_KIND));
	if ((kind & GO_KIND_MASK) == GO_KIND_POINTER)
		type = read_user_u64(type + GO_TYPE_ELEMENT);
	return read_user_u64(type);
}

/* The socket in a connection of a program's own type around a *net.TCPConn. It is believed if it is the only one
 * there, and carries TLS. */
static inline u64 go_socket_in(u64 wrapper, u64 size)
{
	u64 found = 0;
	struct conn *conn;
	for (int i = 0; i < GO_WRAPPER_WORDS; i++) {
		u64 sk;
		if (8ul * i >= size)
			break;
		sk = go_socket_at(read_user_u64(wrapper + 8ul * i));
		if (sk && found && sk != found)
			return 0;
		if (sk)
			found = sk;
	}
	conn = found ? known_conn(found) : 0;
	return conn && conn->counter == COUNT_TLS_CIPHERTEXT ? found : 0;
}

static inline int go_socket_lives(struct tls_conn *conn)
{
	struct conn *socket = conn->sk ? conns.lookup(&conn->sk) : 0;
	return socket && socket->generation == conn->sk_generation;
}

static inline u64 go_socket(struct tls_key *key)
{
	struct tls_conn *conn = tls_conns.lookup(key);
	u64 below, sk;
	if (conn && go_socket_lives(conn))
		return conn->sk;
	below = read_user_u64(key->object + GO_BELOW);
	sk = go_socket_at(below);
	return sk ? sk : go_socket_in(below, go_size_of(read_user_u64(key->object + GO_BELOW_TABLE)));
}

int go_read(struct pt_regs *ctx)
{
	return go_enter(ctx, DIRECTION_RECEIVED);
}

static inline void go_passed(struct tls_call *call, struct tls_key *key, u64 bytes)
{
	struct tls_conn *conn;
	count(COUNT_SEEN, bytes);
	call->sk = go_socket(key);
	conn = tls_conn_of(key, call);
	if (conn)
		tls_passed(call, key, conn, bytes);
	else
		count(COUNT_TABLE_FULL, bytes);
}

int go_write(struct pt_regs *ctx)
{
	struct tls_key key = {.object = GO_RECEIVER(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};
	struct tls_call call = {.source = SOURCE_GO, .plaintext = PLAINTEXT_BUFFER, .direction = DIRECTION_SENT};
	u64 bytes = GO_LENGTH(ctx);
	if (!tls_conns.lookup(&key))
		return go_enter(ctx, DIRECTION_SENT);
	if (is_disabled(ctx) || !bytes || bytes > 0x7fffffff || !process_is_watched(key.tgid))
		return 0;
	call.object = key.object;
	call.buffer = GO_BUFFER(ctx);
	call.time_ns = bpf_ktime_get_ns();
	go_passed(&call, &key, bytes);
	return 0;
}

int go_return(struct pt_regs *ctx)
{
	struct go_call_key place = {};
	struct tls_call call = {.source = SOURCE_GO, .plaintext = PLAINTEXT_BUFFER};
	struct tls_key key = {};
	struct go_call *found;
	u64 high = go_place(ctx, &place), generation;

	found = go_calls.lookup(&place);
	if (!found)
		return 0;
	call.object = found->object;
	call.buffer = found->from_top ? high - found->from_top : found->buffer;
	call.time_ns = found->time_ns;
	call.direction = found->direction;
	generation = found->generation;
	go_calls.delete(&place);
	if (is_disabled(ctx))
		return 0;
	key.object = call.object;
	key.tgid = place.tgid;
	if ((s64)GO_RESULT(ctx) > 0 && (call.direction == DIRECTION_RECEIVED || tls_conns.lookup(&key)))
		go_passed(&call, &key, GO_RESULT(ctx) & 0x7fffffff);
	go_uncount_call(ctx, &key, generation);
	return 0;
}

/* A handshake on a socket that the object already has is a renegotiation. */
int go_handshake(struct pt_regs *ctx)
{
	struct tls_key key = {.object = GO_RECEIVER(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};
	struct tls_call call = {.object = GO_RECEIVER(ctx), .source = SOURCE_GO};
	struct tls_conn *conn;
	if (is_disabled(ctx) || !process_is_watched(key.tgid))
		return 0;
	conn = tls_conns.lookup(&key);
	if (conn && go_socket_lives(conn))
		return 0;
	tls_end(ctx, SOURCE_GO, key.object);
	tls_conn_of(&key, &call);
	return 0;
}

int go_close(struct pt_regs *ctx)
{
	struct tls_key key = {.object = GO_RECEIVER(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};
	struct tls_conn *conn = tls_conns.lookup(&key);
	if (is_disabled(ctx) || !conn)
		return 0;
	__sync_fetch_and_add(&conn->closed, 1);
	go_end_if_over(ctx, &key, conn);
	return 0;
}
