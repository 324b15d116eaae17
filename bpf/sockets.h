/* What all backends share: bytes that a call sent or received on a socket become events, unless they are only
 * counted. A backend tells when a call begins (begin_call) and that it ended (end_call), and knows where the bytes of
 * its calls are (start_walk, first_buffer). System calls within a TLS call carry ciphertext: they only identify the
 * library's socket. */

#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define HELLO_AT 11 /* of the random, after the heads of record and message and the version */

enum shape {
	SHAPE_BUFFER,
	SHAPE_IOVEC,    /* an array of struct iovec */
	SHAPE_MESSAGE,  /* a struct msghdr */
	SHAPE_MESSAGES, /* an array of struct mmsghdr */
	SHAPE_PAGES,    /* an array of struct bio_vec: pages of the kernel, such as a file's */
	SHAPE_BLIND,    /* not in memory that can be read */
};

/* A thread's call that sends or receives. The entry is kept until the thread ends, since creating and deleting it
 * would cost more than all other work at entry; `sk` is 0 between calls. */
struct call {
	u64 sk;
	u64 buffer; /* the buffer, or what describes the buffers, by `shape` */
	u64 skip;   /* bytes of the first buffer that had passed before */
	u64 time_ns;
	u16 shape;
	u16 direction;
	u16 counter; /* not 0: bytes are not copied, only counted here */
	u8 in_tls;   /* made by a TLS library or by its callback */
	u8 may_be_shared; /* of a process that is left out: is_shared is to be asked */
};

BPF_HASH(calls, u32, struct call, SIZED);

/* Layouts of the syscalls category: common fields, number, arguments of eight bytes each. */
struct syscall_enter {
	u64 common;
	u64 number;
	u64 args[6];
};

struct syscall_exit {
	u64 common;
	u64 number;
	s64 ret;
};

/* The bytes of a call that passed, in a walk. */
static inline void start_walk(struct walk *walk, struct call *call, u64 result, u32 bytes);

/* The address of the call's first bytes in user memory. */
static inline u64 first_buffer(struct call *call);

/* The counter for the bytes of a call on this socket; 0 if they may be handed over. Only TCP is in `conns`. */
static inline u16 counter_of(struct conn *conn, u64 sk, u32 tgid)
{
	u16 family;
	if (conn && conn->counter && conn->counter != COUNT_TLS_CIPHERTEXT)
		return conn->counter; /* TLS may identify the object (tls_proof.h) */
	if (!conn) {
		family = read_u16(sk + O_SOCK_FAMILY);
		if (family == AF_UNIX)
			return COUNT_UNIX_SOCKET;
		if ((family != AF_INET && family != AF_INET6) || read_u16(sk + O_SOCK_PROTOCOL) != IPPROTO_TCP)
			return COUNT_NOT_TCP;
	}
	return process_is_watched(tgid) ? 0 : COUNT_FILTERED;
}

/* Whether it matters that a process that is left out passes bytes: for most of them it does once a connection. */
static inline int may_be_shared(struct conn *conn)
{
	return !conn->counter && (conn->tgid || !(conn->flags & CONN_LEFT_OUT));
}

/* A call on this socket begins: its buffers are remembered for its return. */
static inline int begin_call(u64 sk, u64 buffer, u64 skip, u32 shape, u16 direction)
{
	struct call none = {}, *call;
	struct conn *conn = known_conn(sk);
	struct tls_call *tls;
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = id;

	call = calls.lookup_or_try_init(&tid, &none);
	if (!call) {
		/* Its bytes are not counted: a new connection must begin, or its positions would be wrong. */
		count(COUNT_TABLE_FULL_CALLS, 1);
		conns.delete(&sk);
		return 0;
	}
	call->sk = sk;
	call->buffer = buffer;
	call->skip = skip;
	call->shape = shape;
	call->direction = direction;
	call->counter = counter_of(conn, sk, id >> 32);
	call->may_be_shared = call->counter && conn && may_be_shared(conn);
	tls = tls_calls.lookup(&tid);
	call->in_tls = tls && tls->object && call->counter != COUNT_UNIX_SOCKET && call->counter != COUNT_NOT_TCP;
	if (!call->counter)
		call->time_ns = bpf_ktime_get_ns();
	return 0;
}

/* A TLS client's first message carries a random that no other has (RFC 8446 section 4.1.2), and whoever passes
 * the bytes on sends the same: so both sockets of a proxy's tunnel are known to carry one connection. It is written
 * as a whole, in a record of its own, at `base`. */
static inline void tell_hello(struct scratch *scratch, struct conn *conn, u64 sk, u64 base)
{
	u8 head[6] = {};
	bpf_probe_read_user(head, sizeof(head), (void *)base);
	if (conn->tuple.role != ROLE_CLIENT || head[0] != 0x16 || head[5] != 1)
		return;
	fill_head(&scratch->head, EVENT_HELLO, SOURCE_SOCKET, sk, conn->generation, &conn->tuple);
	if (!bpf_probe_read_user(scratch->bytes, HELLO_RANDOM, (void *)(base + HELLO_AT)))
		hand_over(scratch, HELLO_RANDOM);
}

/* Remembers which socket carries a client's hello that begins at `base`: Java asks for it (tls_java.c). */
static inline void remember_hello(struct conn *conn, struct call *call, u64 base)
{
	struct hello_key key = {.tgid = bpf_get_current_pid_tgid() >> 32, .direction = call->direction};
	struct hello_socket socket = {.sk = call->sk, .generation = conn->generation};
	u8 head[6] = {};
	bpf_probe_read_user(head, sizeof(head), (void *)base);
	if (head[0] == 0x16 && head[5] == 1 &&
	    !bpf_probe_read_user(&key.random, sizeof(key.random), (void *)(base + HELLO_AT)))
		hello_sockets.update(&key, &socket);
}

static inline void tell_hello_in_tls(struct conn *conn, struct call *call)
{
	struct scratch *scratch;
	if (call->direction != DIRECTION_SENT || conn->flags & CONN_HELLO)
		return;
	conn->flags |= CONN_HELLO;
	scratch = take_scratch();
	if (!scratch)
		return;
	tell_hello(scratch, conn, call->sk, first_buffer(call));
	give_back(scratch);
}

static inline void note_outside_tls(struct conn *conn, u64 bytes)
{
	struct outside_tls none = {}, *seen;
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	if (conn->bound_object || conn->tls_object)
		return;
	seen = outside_tls.lookup_or_try_init(&tgid, &none);
	if (!seen)
		return;
	__sync_fetch_and_add(&seen->bytes, bytes);
	if (!(conn->flags & CONN_OUTSIDE))
		__sync_fetch_and_add(&seen->connections, 1);
	conn->flags |= CONN_OUTSIDE;
}

/* The first bytes of a captured process, on a connection that others used before: it is reported as one that is older
 * than the agent. */
static inline void begin_within(struct scratch *scratch, struct conn *conn, u64 sk)
{
	fill_head(&scratch->head, EVENT_CLOSED, SOURCE_SOCKET, sk, conn->generation, &conn->tuple);
	hand_over(scratch, 0);
	conn->generation = bpf_ktime_get_ns();
	conn->flags &= ~(CONN_FROM_START | CONN_LEFT_OUT);
	stop_tracking(&conn->tracks);
}

static inline void ship_call(struct scratch *scratch, struct conn *conn, struct call *call, u64 bytes)
{
	u32 side = call->direction & 1;
	u16 counter;
	if (conn->flags & CONN_LEFT_OUT)
		begin_within(scratch, conn, call->sk);
	counter = first_bytes_rule_out(scratch, conn, call->direction);
	if (counter) {
		conn->counter = counter;
		count(counter, bytes);
		if (counter == COUNT_TLS_CIPHERTEXT)
			note_outside_tls(conn, bytes);
		if (counter == COUNT_TLS_CIPHERTEXT)
			remember_hello(conn, call, scratch->walk.base);
		if (counter == COUNT_TLS_CIPHERTEXT && call->direction == DIRECTION_RECEIVED)
			proof_of_handshake();
		else if (counter == COUNT_TLS_CIPHERTEXT)
			tell_hello(scratch, conn, call->sk, scratch->walk.base);
		return;
	}
	fill_head(&scratch->head, EVENT_CHUNK, SOURCE_SOCKET, call->sk, conn->generation, &conn->tuple);
	if (call->direction == DIRECTION_SENT)
		scratch->head.time_ns = call->time_ns;
	scratch->head.direction = call->direction;
	scratch->head.from_start = conn->flags & CONN_FROM_START;
	conn->tgid = scratch->head.tgid;
	plan_copy(scratch, &conn->tracks, side, conn->position[side]);
	conn->position[side] = ship(scratch, conn->position[side]);
}

static inline void walk_and_ship(struct conn *conn, struct call *call, u64 result, u64 bytes)
{
	struct scratch *scratch = take_scratch();
	if (!scratch) {
		conn->position[call->direction & 1] += bytes;
		count(COUNT_RING_FULL, bytes);
		return;
	}
	start_walk(&scratch->walk, call, result, bytes);
	ship_call(scratch, conn, call, bytes);
	give_back(scratch);
}

/* The counter for the bytes that passed; 0 if they are handed over. An ignore rule is stored with the connection:
 * user space sets it once. */
static inline u16 counter_of_conn(struct conn *conn, u64 sk)
{
	u16 counter = conn->counter;
	if (counter)
		return counter;
	counter = ignored_as(sk, conn->generation);
	if (counter)
		conn->counter = counter;
	return counter;
}

/* Whether the bytes that passed begin with the head of a TLS record (RFC 8446 section 5.1). */
static inline int begins_record(struct call *call)
{
	u8 head[2] = {};
	bpf_probe_read_user(head, sizeof(head), (void *)first_buffer(call));
	return head[0] >= 0x14 && head[0] <= 0x18 && head[1] == 3;
}

/* Bytes within a TLS call are the library's own if they have the form of a record, or are a file that the kernel
 * encrypts. All others come from a callback: Node's handlers run there and may write to any socket, even to that of
 * another TLS connection, but do not read. So the socket is identified by what is read, or by what is written while
 * plaintext is being written. */
static inline void tls_learn_socket(struct call *call, u32 tid)
{
	struct tls_call *tls = tls_calls.lookup(&tid);
	u32 is_file = tls && tls->plaintext == PLAINTEXT_FILE && call->shape >= SHAPE_PAGES;
	if (!is_file && !begins_record(call)) {
		call->in_tls = 0;
		return;
	}
	if (tls && tls->object &&
	    (call->direction == DIRECTION_RECEIVED || (tls->plaintext && tls->direction == DIRECTION_SENT)))
		tls->sk = call->sk;
}

/* Records that a TLS connection's call carried the socket's first bytes: it is captured from its start if the socket
 * is. Nothing else shows that if reading or writing begins the handshake. */
static inline void tls_learn_start(struct conn *conn, u32 tid, u32 tgid)
{
	struct tls_call *tls = tls_calls.lookup(&tid);
	if (tls && conn->flags & CONN_FROM_START && !conn->counter && !conn->position[0] && !conn->position[1]) {
		conn->tls_object = tls->object;
		conn->tls_tgid = tgid;
	}
}

/* Reports the length of bytes of a process that is left out, as if `conn->tgid` had passed them: without it, that one's
 * requests and responses would be paired wrongly. */
static inline void report_length(struct conn *conn, struct call *call, u64 bytes)
{
	u32 side = call->direction & 1;
	struct scratch *scratch = take_scratch();
	if (scratch) {
		fill_head(&scratch->head, EVENT_CHUNK, SOURCE_SOCKET, call->sk, conn->generation, &conn->tuple);
		scratch->head.tgid = conn->tgid;
		__builtin_memset(scratch->head.comm, 0, sizeof(scratch->head.comm));
		scratch->head.direction = call->direction;
		scratch->head.from_start = conn->flags & CONN_FROM_START;
		scratch->head.position = conn->position[side];
		scratch->head.length = bytes;
		hand_over_chunk(scratch, 0);
		give_back(scratch);
	} else {
		count(COUNT_RING_FULL, bytes);
	}
	conn->position[side] += bytes;
}

/* Whether this connection's captured process is left out since, as a pod can be. Threads of one process may be captured
 * by their names and others not. */
static inline int is_left_out_since(struct conn *conn)
{
	return conn->tgid == bpf_get_current_pid_tgid() >> 32 && !setting(SETTING_ONLY_PROCESSES);
}

/* Bytes of a process that is left out passed. Returns whether a captured one uses the same socket, after which they are
 * reported. */
static inline int is_shared(struct call *call, u64 bytes)
{
	struct conn *conn = conns.lookup(&call->sk);
	if (!conn || conn->counter)
		return 0;
	if (conn->tgid && is_left_out_since(conn))
		conn->tgid = 0;
	if (!conn->tgid) {
		conn->flags |= CONN_LEFT_OUT;
		return 0;
	}
	conn = known_conn(call->sk);
	if (conn)
		report_length(conn, call, bytes);
	return conn != 0;
}

/* So many bytes passed in this call, which returned `result`. */
static inline void end_call(struct call *call, u64 result, u64 bytes)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = id;
	struct conn *conn;
	u16 counter;

	count(COUNT_SEEN, bytes);
	if (call->in_tls)
		tls_learn_socket(call, tid);
	if (call->counter && !call->in_tls) {
		if (!call->may_be_shared || !is_shared(call, bytes))
			count(call->counter, bytes);
		return;
	}
	conn = conn_of(call->sk);
	if (!conn) {
		count(call->in_tls ? COUNT_TLS_CIPHERTEXT : COUNT_TABLE_FULL, bytes);
		return;
	}
	if (call->in_tls) {
		tls_learn_start(conn, tid, id >> 32);
		tls_carried(conn);
		count(conn->counter, bytes);
		if (conn->counter == COUNT_TLS_CIPHERTEXT)
			tell_hello_in_tls(conn, call);
		return;
	}
	counter = counter_of_conn(conn, call->sk);
	if (!counter && is_sampled_out(&conn->tuple)) {
		conn->position[call->direction & 1] += bytes; /* a gap, once all are captured again */
		counter = COUNT_SAMPLED_OUT;
	}
	if (counter == COUNT_TLS_CIPHERTEXT)
		note_outside_tls(conn, bytes);
	if (counter)
		count(counter, bytes);
	else
		walk_and_ship(conn, call, result, bytes);
	if (counter == COUNT_TLS_CIPHERTEXT && call->shape <= SHAPE_MESSAGE)
		proof_by_socket(call->sk, conn, call->direction, first_buffer(call), bytes);
}

/* Bytes that are peeked at will be read again; an error queue has bytes that were sent already; and urgent data that is
 * read apart is no part of what else is read (RFC 6093 section 2). */
static inline int consumes(u64 flags)
{
	return !(flags & (MSG_OOB | MSG_PEEK | MSG_ERRQUEUE));
}
