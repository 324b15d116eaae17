/* Turns transferred bytes into events in the ring. */

static inline void fill_head(struct event *head, u8 kind, u8 source, u64 address, u64 generation,
			     struct tuple *tuple)
{
	__builtin_memset(head, 0, sizeof(*head));
	head->time_ns = bpf_ktime_get_ns();
	head->address = address;
	head->generation = generation;
	head->kind = kind;
	head->source = source;
	head->tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(head->comm, sizeof(head->comm));
	if (tuple) {
		head->netns = tuple->netns;
		head->local_port = tuple->local_port;
		head->peer_port = tuple->peer_port;
		head->family = tuple->family;
		head->role = tuple->role;
		__builtin_memcpy(head->local, tuple->local, 16);
		__builtin_memcpy(head->peer, tuple->peer, 16);
	}
}

/* Submits the head and `captured` bytes after it, or counts an event if there is no room. Returns whether there was.
 * User space looks every few milliseconds by itself; a wakeup makes it look at once. */
static inline int submit(struct scratch *scratch, u32 captured, u64 wakeup)
{
	u64 size = captured;
	scratch->head.captured = captured;
	BOUND(size);
	if (!events.ringbuf_output(&scratch->head, sizeof(scratch->head) + size, wakeup))
		return 1;
	count(COUNT_RING_FULL_EVENTS, 1);
	return 0;
}

static inline void hand_over(struct scratch *scratch, u32 captured)
{
	submit(scratch, captured, BPF_RB_NO_WAKEUP);
}

static inline void hand_over_chunk(struct scratch *scratch, u32 captured)
{
	if (!submit(scratch, captured, BPF_RB_NO_WAKEUP))
		count(COUNT_RING_FULL, scratch->head.length);
}

/* Submits the bytes of scratch->walk as chunks of scratch->head's connection; returns the position after them. */
static inline u64 ship(struct scratch *scratch, u64 position)
{
	struct walk *walk = &scratch->walk;
	for (int i = 0; i < PIECES_MAX; i++) {
		u64 size, copied;
		if (!walk->left && walk->messages)
			next_message(walk);
		if (!walk->left || walk->blind)
			break;
		if (!walk->room && walk->iov)
			next_buffer(walk);
		if (!walk->room)
			continue; /* an empty buffer; the loop is bounded */
		size = lesser(walk->left, walk->room);
		if (walk->over) {
			size = lesser(size, walk->over);
			walk->over -= size;
			pass(walk, size);
			continue;
		}
		size = lesser(lesser(size, CHUNK_MAX), walk->copy);
		BOUND(size);
		copied = read_bytes(walk, scratch->bytes, size, walk->base) == 0 ? size : 0;
		walk->copy -= size;
		if (!walk->copy)
			next_copy_range(scratch);
		scratch->head.position = position;
		scratch->head.length = size + walk->over;
		scratch->head.capped = walk->over && copied == size;
		hand_over_chunk(scratch, copied);
		position += size + walk->over;
		walk->total -= size + walk->over;
		pass(walk, size);
	}
	if (walk->total) {
		scratch->head.position = position;
		scratch->head.length = walk->total;
		scratch->head.capped = 0;
		hand_over_chunk(scratch, 0);
		position += walk->total;
	}
	return position;
}
