/* Captures sockets at the tracepoints of system calls, without kprobes or kernel headers.
 *
 * At entry the struct sock of the file descriptor is found and the call stored by thread. At return the result is
 * the number of bytes, and the buffers are in memory. */

#define MESSAGES_MAX 1024 /* UIO_MAXIOV: of one call */

static inline int enter(u32 fd, u64 buffer, u32 shape, u16 direction)
{
	u64 sk;
	if (setting(SETTING_DISABLED))
		return 0;
	sk = socket_of(fd);
	return sk ? begin_call(sk, buffer, 0, shape, direction) : 0;
}

/* The bytes that passed. A call with several messages returns their number, and stores the length in each. */
static inline u64 bytes_of(struct call *call, u64 result)
{
	u64 bytes = 0;
	if (call->shape != SHAPE_MESSAGES)
		return result;
	for (int i = 0; i < MESSAGES_MAX; i++) {
		u32 length = 0;
		if (i >= result)
			break;
		bpf_probe_read_user(&length, sizeof(length), (void *)(call->buffer + 64ul * i + 56));
		bytes += length;
	}
	return bytes;
}

static inline void start_walk(struct walk *walk, struct call *call, u64 result, u32 bytes)
{
	u64 header[2] = {};
	__builtin_memset(walk, 0, sizeof(*walk));
	walk->left = bytes;
	walk->total = bytes;
	if (call->shape == SHAPE_BUFFER) {
		walk->base = call->buffer;
		walk->room = bytes;
	} else if (call->shape == SHAPE_IOVEC) {
		walk->iov = call->buffer;
	} else if (call->shape == SHAPE_MESSAGE) {
		bpf_probe_read_user(header, sizeof(header), (void *)(call->buffer + 16));
		walk->iov = header[0];
	} else if (call->shape == SHAPE_MESSAGES) {
		walk->message = call->buffer;
		walk->messages = result;
		walk->left = 0;
	} else {
		walk->blind = 1;
	}
}

/* The address of the call's first bytes in user memory. */
static inline u64 first_buffer(struct call *call)
{
	u64 base = call->buffer;
	if (call->shape == SHAPE_MESSAGE)
		bpf_probe_read_user(&base, sizeof(base), (void *)(base + 16));
	if (call->shape == SHAPE_MESSAGE || call->shape == SHAPE_IOVEC)
		bpf_probe_read_user(&base, sizeof(base), (void *)base);
	return base;
}

int syscall_exit(struct syscall_exit *ctx)
{
	struct call call, *found;
	u32 tid = bpf_get_current_pid_tgid();

	found = calls.lookup(&tid);
	if (!found || !found->sk)
		return 0;
	call = *found;
	found->sk = 0;
	if (ctx->ret > 0 && !setting(SETTING_DISABLED))
		end_call(&call, ctx->ret, bytes_of(&call, ctx->ret));
	return 0;
}

int enter_read(struct syscall_enter *ctx)
{
	return enter(ctx->args[0], ctx->args[1], SHAPE_BUFFER, DIRECTION_RECEIVED);
}

int enter_write(struct syscall_enter *ctx)
{
	return enter(ctx->args[0], ctx->args[1], SHAPE_BUFFER, DIRECTION_SENT);
}

int enter_readv(struct syscall_enter *ctx)
{
	return enter(ctx->args[0], ctx->args[1], SHAPE_IOVEC, DIRECTION_RECEIVED);
}

int enter_writev(struct syscall_enter *ctx)
{
	return enter(ctx->args[0], ctx->args[1], SHAPE_IOVEC, DIRECTION_SENT);
}

int enter_recvfrom(struct syscall_enter *ctx)
{
	u32 shape = ctx->args[3] & MSG_TRUNC ? SHAPE_BLIND : SHAPE_BUFFER;
	return consumes(ctx->args[3]) ? enter(ctx->args[0], ctx->args[1], shape, DIRECTION_RECEIVED) : 0;
}

int enter_recvmsg(struct syscall_enter *ctx)
{
	u32 shape = ctx->args[2] & MSG_TRUNC ? SHAPE_BLIND : SHAPE_MESSAGE;
	return consumes(ctx->args[2]) ? enter(ctx->args[0], ctx->args[1], shape, DIRECTION_RECEIVED) : 0;
}

int enter_sendmsg(struct syscall_enter *ctx)
{
	return enter(ctx->args[0], ctx->args[1], SHAPE_MESSAGE, DIRECTION_SENT);
}

int enter_recvmmsg(struct syscall_enter *ctx)
{
	if (!consumes(ctx->args[3]))
		return 0;
	return enter(ctx->args[0], ctx->args[1], SHAPE_MESSAGES, DIRECTION_RECEIVED);
}

int enter_sendmmsg(struct syscall_enter *ctx)
{
	return enter(ctx->args[0], ctx->args[1], SHAPE_MESSAGES, DIRECTION_SENT);
}

int enter_sendfile(struct syscall_enter *ctx)
{
	return enter(ctx->args[0], 0, SHAPE_BLIND, DIRECTION_SENT);
}

int enter_splice(struct syscall_enter *ctx)
{
	if (socket_of(ctx->args[2]))
		return enter(ctx->args[2], 0, SHAPE_BLIND, DIRECTION_SENT);
	return enter(ctx->args[0], 0, SHAPE_BLIND, DIRECTION_RECEIVED);
}
