/* Start and end of TCP connections and of processes, and which processes have new code. A connection's end is taken
 * from the socket's state: after fork or dup, close(2) is not the end. These are raw tracepoints, which are not
 * lost if an interrupt runs them during another program. */

#define NAME_MAX 1024

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3

#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20

/* The layout of the syscalls category. */
struct mmap_enter {
	u64 common;
	u64 number;
	u64 address;
	u64 length;
	u64 protection;
	u64 flags;
	u64 descriptor;
	u64 offset;
};

BPF_HASH(changed, u32, u8, 1024); /* processes with new code, by tgid */

static inline void tell(u8 kind, u64 sk, struct conn *conn)
{
	struct scratch *scratch = take_scratch();
	if (!scratch) {
		count(COUNT_RING_FULL_EVENTS, 1);
		return;
	}
	fill_head(&scratch->head, kind, SOURCE_SOCKET, sk, conn->generation, &conn->tuple);
	scratch->head.from_start = conn->flags & CONN_FROM_START;
	hand_over(scratch, 0);
	give_back(scratch);
}

RAW_TRACEPOINT_PROBE(inet_sock_set_state)
{
	u64 sk = ctx->args[0];
	int before = ctx->args[1], after = ctx->args[2];
	u8 role = before == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER;
	struct conn *conn;
	if (after != TCP_ESTABLISHED || (before != TCP_SYN_SENT && before != TCP_SYN_RECV))
		return 0;
	if (setting(SETTING_DISABLED) || read_u16(sk + O_SOCK_PROTOCOL) != IPPROTO_TCP)
		return 0;
	if (known_conn(sk)) /* its data passed before (TCP Fast Open, RFC 7413): its positions hold */
		return 0;
	conn = create_conn(sk, CONN_FROM_START, role);
	if (conn && conn->counter != COUNT_FILTERED)
		tell(EVENT_OPENED, sk, conn);
	return 0;
}

/* The end of a socket is that of its TLS connection. */
static inline void end_tls(struct conn *conn)
{
	struct tls_key key = {.object = conn->bound_object, .tgid = conn->tls_tgid};
	struct tls_conn *tls = tls_conns.lookup(&key);
	struct scratch *scratch;
	if (!tls || tls->sk_generation != conn->generation)
		return;
	scratch = take_scratch();
	if (scratch) {
		fill_head(&scratch->head, EVENT_CLOSED, SOURCE_RUSTLS, key.object, tls->generation, &tls->tuple);
		scratch->head.tgid = key.tgid; /* another task may close the socket */
		hand_over(scratch, 0);
		give_back(scratch);
	}
	tls_conns.delete(&key);
}

/* The end of a socket: data may still be read after TCP_CLOSE, but not after this. */
RAW_TRACEPOINT_PROBE(tcp_destroy_sock)
{
	u64 sk = ctx->args[0];
	struct conn *conn = conns.lookup(&sk);
	if (!conn)
		return 0;
	if (!setting(SETTING_DISABLED) && conn->counter != COUNT_FILTERED)
		tell(EVENT_CLOSED, sk, conn);
	if (conn->flags & CONN_ENDS_TLS)
		end_tls(conn);
	conns.delete(&sk);
	return 0;
}

/* User space removes the entries; if the map is full, its next scan of all processes finds the process. */
static inline void note_new_code(void)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	u8 one = 1;
	changed.update(&tgid, &one);
}

/* Files mapped for execution: libraries at a program's start, plugins at any time. */
int enter_mmap(struct mmap_enter *ctx)
{
	if (!(ctx->protection & PROT_EXEC) || (ctx->flags & MAP_ANONYMOUS) || setting(SETTING_DISABLED))
		return 0;
	note_new_code();
	return 0;
}

RAW_TRACEPOINT_PROBE(sched_process_exec)
{
	struct scratch *scratch;
	long size;
	if (setting(SETTING_DISABLED))
		return 0;
	note_new_code();
	scratch = take_scratch();
	if (!scratch)
		return 0;
	fill_head(&scratch->head, EVENT_EXEC, SOURCE_SOCKET, 0, 0, 0);
	size = bpf_probe_read_kernel_str(scratch->bytes, NAME_MAX, (void *)read_u64(ctx->args[2] + O_BPRM_FILENAME));
	scratch->head.length = size > 0 ? size - 1 : 0;
	submit(scratch, scratch->head.length, BPF_RB_FORCE_WAKEUP); /* a new program is to be examined at once */
	give_back(scratch);
	return 0;
}

RAW_TRACEPOINT_PROBE(sched_process_exit)
{
	struct scratch *scratch;
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = id;
	calls.delete(&tid);
	tls_calls.delete(&tid);
	tls_proofs.delete(&tid);
	if ((u32)(id >> 32) != tid || setting(SETTING_DISABLED))
		return 0;
	scratch = take_scratch();
	if (!scratch)
		return 0;
	fill_head(&scratch->head, EVENT_EXIT, SOURCE_SOCKET, 0, 0, 0);
	hand_over(scratch, 0);
	give_back(scratch);
	return 0;
}
