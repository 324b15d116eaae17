/* Walks the bytes of one call, buffer by buffer. */

/* Bounds a number to CHUNK_MAX for the verifier; clang would optimise a plain check away. */
#define BOUND(number)                                        \
	asm volatile("%0 &= 0x7fff" : "+r"(number));         \
	if (number > CHUNK_MAX)                              \
		number = CHUNK_MAX;

static inline void next_message(struct walk *walk)
{
	u64 header[2] = {};
	u32 length = 0;
	bpf_probe_read_user(header, sizeof(header), (void *)(walk->message + 16)); /* msg_iov, msg_iovlen */
	bpf_probe_read_user(&length, sizeof(length), (void *)(walk->message + 56)); /* msg_len */
	walk->iov = header[0];
	walk->left = length;
	walk->room = 0;
	walk->message += 64;
	walk->messages--;
}

static inline void next_buffer(struct walk *walk)
{
	u64 entry[2] = {};
	bpf_probe_read_user(entry, sizeof(entry), (void *)walk->iov);
	walk->iov += 16;
	walk->base = entry[0];
	walk->room = entry[1];
}

/* The bytes before the next skipped ones were copied: the skipped ones are `over`. */
static inline void next_copy_range(struct scratch *scratch)
{
	struct walk *walk = &scratch->walk;
	walk->over = scratch->ranges[walk->range & (COPY_RANGES_MAX - 1)].skip;
	walk->range++;
	walk->copy = ~0u;
	if (walk->range < walk->ranges)
		walk->copy = scratch->ranges[walk->range & (COPY_RANGES_MAX - 1)].copy;
}

static inline void pass(struct walk *walk, u64 size)
{
	walk->base += size;
	walk->room -= size;
	walk->left -= size;
}
