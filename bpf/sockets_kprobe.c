/* Captures sockets where the kernel takes and gives their bytes, below all system calls: so io_uring, sendfile, splice
 * and MSG_ZEROCOPY too. Unix sockets are not seen.
 *
 *   call                          begins                               ends
 *   ----------------------------  -----------------------------------  --------------------------------------------
 *   sends, of whatever kind       kprobes inet_sendmsg, inet6_sendmsg  tracepoint sock_send_length, with the result
 *   receives, of whatever kind    kprobes inet_recvmsg, inet6_recvmsg  tracepoint sock_recv_length, with the result
 *   splice from a socket          tracepoints of the system call: the bytes stay in the kernel
 *
 * The socket layer calls these functions, and then hits the tracepoint in the same thread. What is below them differs
 * by socket: tcp_sendmsg, or that of kTLS or of a sockmap. There are no return probes: the kernel has few (two for each
 * CPU), and one is taken for as long as a thread waits for data. The kernel's own connections (NFS) are left out.
 * Kprobes run with preemption off, so a stack per CPU, which uprobe programs must not have (tls.c), does no harm. */

#define PF_KTHREAD 0x200000

/* Remembers where the bytes of a struct msghdr are: its iterator is moved on during the call. Those that are neither
 * in user memory nor in pages are the kernel's own. */
static inline int enter_inet(u64 socket, u64 message, u16 direction, u32 blind)
{
	u64 iter = message + O_MSG_ITER, buffer, skip;
	u8 type = 0;
	u32 shape;
	if (setting(SETTING_DISABLED) || read_u32(bpf_get_current_task() + O_TASK_FLAGS) & PF_KTHREAD)
		return 0;
	bpf_probe_read_kernel(&type, sizeof(type), (void *)(iter + O_ITER_TYPE));
	buffer = read_u64(iter + O_ITER_BUFFER);
	skip = read_u64(iter + O_ITER_OFFSET);
	if (type == ITER_UBUF) {
		shape = SHAPE_BUFFER;
		buffer += skip;
		skip = 0;
	} else if (type == ITER_IOVEC) {
		shape = SHAPE_IOVEC;
	} else if (type == ITER_BVEC) {
		shape = VMEMMAP_AT ? SHAPE_PAGES : SHAPE_BLIND;
	} else {
		return 0;
	}
	return begin_call(read_u64(socket + O_SOCKET_SK), buffer, skip, blind ? SHAPE_BLIND : shape, direction);
}

static inline void start_walk(struct walk *walk, struct call *call, u64 result, u32 bytes)
{
	__builtin_memset(walk, 0, sizeof(*walk));
	walk->left = bytes;
	walk->total = bytes;
	walk->pages = call->shape == SHAPE_PAGES;
	if (call->shape == SHAPE_BUFFER) {
		walk->base = call->buffer;
		walk->room = bytes;
	} else if (call->shape == SHAPE_BLIND) {
		walk->blind = 1;
	} else {
		walk->iov = call->buffer;
		next_buffer(walk);
		walk->base += call->skip;
		walk->room -= call->skip;
	}
}

static inline u64 first_buffer(struct call *call)
{
	if (call->shape == SHAPE_IOVEC)
		return read_u64(call->buffer) + call->skip;
	return call->shape == SHAPE_BUFFER ? call->buffer : 0;
}

/* The call of this thread on this socket ends. */
static inline int leave(u64 sk, int result)
{
	struct call call, *found;
	u32 tid = bpf_get_current_pid_tgid();
	found = calls.lookup(&tid);
	if (!found || !found->sk || (sk && found->sk != sk))
		return 0;
	call = *found;
	found->sk = 0;
	if (result > 0 && !setting(SETTING_DISABLED))
		end_call(&call, result, result);
	return 0;
}

int enter_inet_send(struct pt_regs *ctx)
{
	return enter_inet(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), DIRECTION_SENT, 0);
}

int enter_inet_receive(struct pt_regs *ctx)
{
	u64 flags = PT_REGS_PARM4(ctx);
	if (!consumes(flags))
		return 0;
	return enter_inet(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), DIRECTION_RECEIVED, flags & MSG_TRUNC);
}

RAW_TRACEPOINT_PROBE(sock_send_length)
{
	return leave(ctx->args[0], ctx->args[1]);
}

RAW_TRACEPOINT_PROBE(sock_recv_length)
{
	return leave(ctx->args[0], ctx->args[1]);
}

int enter_splice(struct syscall_enter *ctx)
{
	u64 sk;
	if (setting(SETTING_DISABLED) || socket_of(ctx->args[2]))
		return 0; /* into a socket: it sends */
	sk = socket_of(ctx->args[0]);
	if (!sk || read_u16(sk + O_SOCK_PROTOCOL) != IPPROTO_TCP)
		return 0;
	return begin_call(sk, 0, 0, SHAPE_BLIND, DIRECTION_RECEIVED);
}

int leave_splice(struct syscall_exit *ctx)
{
	return leave(0, ctx->ret);
}
