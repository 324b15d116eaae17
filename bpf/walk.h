/* Walks the bytes of one call, buffer by buffer. */

/* Bounds a number to CHUNK_MAX for the verifier; clang would optimise a plain check away. */
#define BOUND(number)                                        \
	asm volatile("%0 &= 0x7fff" : "+r"(number));         \
	if (number > CHUNK_MAX)                              \
		number = CHUNK_MAX;

static inline u64 lesser(u64 one, u64 other)
{
	return one < other ? one : other;
}

#ifdef ARRAYS_IN_KERNEL
/* The address at which the kernel itself maps a page, by x86-64's layout of memory (asm/page_64.h, asm/pgtable_64.h). */
static inline u64 address_of_page(u64 page)
{
	return read_u64(PAGE_OFFSET_AT) + (page - read_u64(VMEMMAP_AT)) / SIZE_OF_PAGE * 4096;
}
#endif

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

/* Reads an entry of an array of buffers, each of 16 bytes: its address and length. Arrays are the process's own
 * where system calls are watched (struct iovec), and the kernel's below them: its copy, or pages (struct bio_vec). */
static inline void read_buffer(struct walk *walk, u64 at, u64 *base, u64 *room)
{
	u64 entry[2] = {};
#ifdef ARRAYS_IN_KERNEL
	if (walk->of_user)
		bpf_probe_read_user(entry, sizeof(entry), (void *)at);
	else
		bpf_probe_read_kernel(entry, sizeof(entry), (void *)at);
	if (walk->pages) {
		*base = address_of_page(entry[0]) + (entry[1] >> 32);
		*room = (u32)entry[1];
		return;
	}
#else
	bpf_probe_read_user(entry, sizeof(entry), (void *)at);
#endif
	*base = entry[0];
	*room = entry[1];
}

static inline void next_buffer(struct walk *walk)
{
	read_buffer(walk, walk->iov, &walk->base, &walk->room);
	walk->iov += 16;
}

/* Copies bytes of a buffer of the walk. Returns 0, or an error. Which memory it is in is known from where it comes,
 * never guessed from its address, which a process may choose. */
static inline long read_bytes(struct walk *walk, void *to, u64 size, u64 from)
{
#ifdef ARRAYS_IN_KERNEL
	if (walk->pages)
		return bpf_probe_read_kernel(to, size, (void *)from);
#endif
	return bpf_probe_read_user(to, size, (void *)from);
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
