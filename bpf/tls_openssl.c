/* OpenSSL in plaintext: SSL_read, SSL_write and their _ex forms at entry and return, by the public ABI
 * only, so that no release needs offsets of its own. Each entry is remembered by thread and used up by
 * the return: a probe attached twice counts once. */

struct ssl_key {
	u64 ssl;
	u32 tgid;
	u32 padding;
};

struct ssl_conn {
	u64 generation;
	u64 position[2];
	u64 sk; /* 0 while unknown: a memory BIO makes no system call in the window */
	u64 sk_generation;
	u32 flags;
	u32 padding;
	struct tuple tuple;
	u32 padding2;
	struct courses courses;
};

BPF_TABLE("lru_hash", struct ssl_key, struct ssl_conn, ssl_conns, CONNECTIONS);

/* Never written: a new entry's value, which on the stack would take most of it. */
BPF_ARRAY(zero_window, struct window, 1);

/* From Linux 6.13 on a program of this type whose stack reaches 64 bytes is given one stack per CPU
 * (bpf_enable_priv_stack() and BPF_PRIV_STACK_MIN_SIZE in kernel/bpf/verifier.c), yet a program on a uprobe can
 * be preempted, and the next task on the CPU would overwrite it. A program that can make a tail call keeps the
 * stack of its task. This one is made in the dark only, into an empty array, and so falls through. Every uprobe
 * program has it, also a small one: how much stack it takes is the compiler's to say.
 * agent/probes/private_stack.py proves it for each program before it is attached. */
BPF_PROG_ARRAY(no_program, 1);

static inline int is_dark(struct pt_regs *ctx)
{
	if (!setting(SETTING_DARK))
		return 0;
	no_program.call(ctx, 0);
	return 1;
}

static inline struct window *window_of(u32 tid)
{
	struct window *window = windows.lookup(&tid), *zero;
	int first = 0;
	if (window)
		return window;
	zero = zero_window.lookup(&first);
	if (zero)
		windows.insert(&tid, zero);
	return windows.lookup(&tid);
}

static inline int ssl_enter(struct pt_regs *ctx, u32 direction, u32 carries, u32 has_length)
{
	struct window *window;
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = id;
	if (is_dark(ctx) || !process_is_watched(id >> 32))
		return 0;
	window = window_of(tid);
	if (!window) {
		/* Its bytes will go by unseen: the connection must begin a new life, or positions would lie. */
		struct ssl_key key = {.ssl = PT_REGS_PARM1(ctx), .tgid = id >> 32};
		count(COUNT_TABLE_FULL_CALLS, 1);
		ssl_conns.delete(&key);
		return 0;
	}
	window->is_inner = window->ssl && window->stack > PT_REGS_SP(ctx);
	if (window->is_inner)
		outer_windows.update(&tid, window);
	window->ssl = PT_REGS_PARM1(ctx);
	window->sk = 0;
	window->stack = PT_REGS_SP(ctx);
	window->buffer = carries ? PT_REGS_PARM2(ctx) : 0;
	window->length = has_length ? PT_REGS_PARM4(ctx) : 0;
	window->direction = direction;
	window->carries = carries;
	window->time_ns = bpf_ktime_get_ns();
	return 0;
}

int ssl_enter_read(struct pt_regs *ctx)
{
	return ssl_enter(ctx, DIRECTION_RECEIVED, 1, 0);
}

int ssl_enter_write(struct pt_regs *ctx)
{
	return ssl_enter(ctx, DIRECTION_SENT, 1, 0);
}

int ssl_enter_read_ex(struct pt_regs *ctx)
{
	return ssl_enter(ctx, DIRECTION_RECEIVED, 1, 1);
}

int ssl_enter_write_ex(struct pt_regs *ctx)
{
	return ssl_enter(ctx, DIRECTION_SENT, 1, 1);
}

int ssl_enter_plain(struct pt_regs *ctx)
{
	return ssl_enter(ctx, 0, 0, 0);
}

static inline void ssl_tell_closed(struct ssl_key *key, struct ssl_conn *conn)
{
	struct scratch *scratch = take_scratch();
	if (!scratch)
		return;
	fill_head(&scratch->head, EVENT_CLOSED, SOURCE_OPENSSL, key->ssl, conn->generation, &conn->tuple);
	hand_over(scratch, 0);
	give_back(scratch);
}

/* The connection of this window, made if it is new, begun anew if its SSL object moved to another socket. */
static inline struct ssl_conn *ssl_conn_of(struct ssl_key *key, struct window *window)
{
	struct ssl_conn fresh = {}, *conn = ssl_conns.lookup(key);
	struct conn *socket = window->sk ? conn_of(window->sk) : 0;
	if (socket)
		socket->flags |= CONN_TLS;
	if (conn && socket && conn->sk &&
	    (conn->sk != window->sk || conn->sk_generation != socket->generation)) {
		ssl_tell_closed(key, conn);
		conn = 0;
	}
	if (!conn) {
		fresh.generation = bpf_ktime_get_ns();
		/* A connection that begins with its handshake is seen from the first plaintext byte. */
		fresh.flags = window->carries ? 0 : CONN_FROM_START;
		if (!window->carries)
			start_courses(&fresh.courses);
		ssl_conns.update(key, &fresh);
		conn = ssl_conns.lookup(key);
	}
	if (conn && socket && !conn->sk) {
		conn->sk = window->sk;
		conn->sk_generation = socket->generation;
		conn->tuple = socket->tuple;
		conn->flags |= socket->flags & CONN_FILTERED;
	}
	return conn;
}

/* Where ports were chosen, bytes whose ports are unknown cannot be shown to be wanted. */
static inline int ssl_is_filtered(struct ssl_conn *conn)
{
	return conn->flags & CONN_FILTERED || (!conn->sk && setting(SETTING_PORTS));
}

static inline void leave_window(struct pt_regs *ctx, u32 tid, struct window *window)
{
	struct window *outer;
	window->ssl = 0;
	if (!window->is_inner)
		return;
	outer = outer_windows.lookup(&tid);
	if (!outer || outer->stack <= PT_REGS_SP(ctx))
		return;
	*window = *outer;
	outer_windows.delete(&tid);
}

int ssl_return(struct pt_regs *ctx)
{
	struct window window, *found;
	struct ssl_key key = {};
	struct ssl_conn *conn;
	struct scratch *scratch;
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = id, side, counter;
	int ret = PT_REGS_RC(ctx);
	u64 bytes = ret > 0 ? ret : 0;

	found = windows.lookup(&tid);
	if (!found || !found->ssl)
		return 0;
	window = *found;
	leave_window(ctx, tid, found);
	if (is_dark(ctx))
		return 0;
	key.ssl = window.ssl;
	key.tgid = id >> 32;
	if (window.length && ret > 0) {
		bytes = 0;
		bpf_probe_read_user(&bytes, sizeof(bytes), (void *)window.length);
	}
	if (bytes > 0x7fffffff || !window.carries)
		bytes = 0;
	count(COUNT_SEEN, bytes);
	conn = ssl_conn_of(&key, &window);
	if (!conn)
		count(COUNT_TABLE_FULL, bytes);
	if (!conn || !bytes)
		return 0;
	side = window.direction & 1;
	if (ssl_is_filtered(conn)) {
		conn->position[side] += bytes; /* a hole, should the socket show itself yet */
		count(COUNT_FILTERED, bytes);
		return 0;
	}
	counter = ignored_as(window.ssl, conn->generation);
	if (counter) {
		count(counter, bytes);
		return 0;
	}
	scratch = take_scratch();
	if (!scratch) {
		conn->position[side] += bytes;
		count(COUNT_RING_FULL, bytes);
		return 0;
	}
	fill_head(&scratch->head, EVENT_CHUNK, SOURCE_OPENSSL, window.ssl, conn->generation, &conn->tuple);
	if (window.direction == DIRECTION_SENT)
		scratch->head.time_ns = window.time_ns;
	scratch->head.direction = window.direction;
	scratch->head.from_start = conn->flags & CONN_FROM_START;
	__builtin_memset(&scratch->walk, 0, sizeof(scratch->walk));
	scratch->walk.base = window.buffer;
	scratch->walk.room = bytes;
	scratch->walk.left = bytes;
	scratch->walk.total = bytes;
	plan(scratch, &conn->courses, side, conn->position[side]);
	conn->position[side] = ship(scratch, conn->position[side]);
	give_back(scratch);
	return 0;
}

int ssl_enter_free(struct pt_regs *ctx)
{
	struct ssl_key key = {};
	struct ssl_conn *conn;
	key.ssl = PT_REGS_PARM1(ctx);
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	conn = ssl_conns.lookup(&key);
	if (!conn)
		return 0;
	if (!is_dark(ctx) && !ssl_is_filtered(conn))
		ssl_tell_closed(&key, conn);
	ssl_conns.delete(&key);
	return 0;
}
