/* Finds the end of an HTTP/1 head and its Content-Length, in two passes over at most HEAD_MAX bytes:
 *
 *   pass     what it reads                what it leaves in the scan
 *   -------  ---------------------------  ----------------------------------------------------------------------
 *   marks    blocks of 64 bytes, without  where lines end, a bit for each byte, up to the empty line; doubt if there
 *            branches                     is none, or if a carriage return or line feed stands alone before it
 *   lines    the start of each line       where Content-Length's value begins; doubt if a line is folded, or the
 *                                         length is not certain
 *
 * Parsers differ on what is in doubt. The verifier walks each turn of a loop along all of its paths, so the passes are
 * apart: together, each turn of one would cost those of the other. */

#define BLOCK 64
#define HEAD_MAX (HEAD_BLOCKS * BLOCK) /* bytes of a head that are read */
#define HEAD_LINES 128
#define LENGTH_DIGITS 12

#define EACH(byte) (0x0101010101010101ull * (byte))
#define LOWER EACH(0x20)
#define WORD(a, b, c, d, e, f, g, h)                                                                       \
	((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 | (u64)(f) << 40 |     \
	 (u64)(g) << 48 | (u64)(h) << 56)
#define LOW_SEVEN 0x00ffffffffffffffull
#define LOW_FIVE 0x000000ffffffffffull
#define LOW_SIX 0x0000ffffffffffffull

/* The high bit of each byte of `word` that is `byte`. */
static inline u64 bytes_equal(u64 word, u8 byte)
{
	u64 other = word ^ EACH(byte);
	return ~(((other & EACH(0x7f)) + EACH(0x7f)) | other | EACH(0x7f));
}

static inline u64 word_at(struct scratch *scratch, u64 at)
{
	asm volatile("%0 &= 4095" : "+r"(at));
	return *(u64 *)(scratch->bytes + at);
}

/* A bit for each byte of `word` that is `byte`, in their order. */
static inline u64 bits_equal(u64 word, u8 byte)
{
	return (bytes_equal(word, byte) >> 7) * 0x0102040810204080ull >> 56;
}

/* The number of bits that are set. */
static inline u32 bits_set(u64 bits)
{
	bits -= bits >> 1 & EACH(0x55);
	bits = (bits & EACH(0x33)) + (bits >> 2 & EACH(0x33));
	return ((bits + (bits >> 4)) & EACH(0x0f)) * EACH(1) >> 56;
}

/* Marks where lines end in a block. Returns whether the head goes on in the next one. */
static inline int mark_lines(struct scan *scan, u64 *words, u32 block)
{
	u64 feeds = 0, returns = 0, ends, blanks, alone;
	for (int i = 0; i < BLOCK / 8; i++) {
		feeds |= bits_equal(words[i], '\n') << 8 * i;
		returns |= bits_equal(words[i], '\r') << 8 * i;
		asm volatile("" : "+r"(feeds), "+r"(returns)); /* word by word: the stack is small */
	}
	ends = returns << 1 | scan->carry;
	alone = feeds ^ ends;
	feeds &= ends;
	blanks = feeds & (feeds << 2 | scan->feeds);
	scan->carry = returns >> 63;
	scan->feeds = feeds >> 62;
	if (blanks) {
		u64 head = blanks ^ (blanks - 1); /* the bits up to the lowest one */
		feeds &= head;
		alone &= head;
		scan->end = block * BLOCK + bits_set(head);
	}
	scan->lines[block] = feeds;
	scan->doubt = alone != 0;
	return !blanks && !alone;
}

/* Reads the line that begins at `at`. */
static inline void look_at_line(struct scratch *scratch, u32 at)
{
	struct scan *scan = &scratch->scan;
	u64 name = word_at(scratch, at), rest;
	if ((u8)name <= ' ')
		scan->doubt = 1; /* a folded line */
	name |= LOWER;
	if (name == WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'))
		scan->doubt = 1;
	if (name != WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-'))
		return;
	rest = word_at(scratch, at + 8);
	if (((rest | LOWER) & LOW_SIX) != WORD('l', 'e', 'n', 'g', 't', 'h', 0, 0))
		return;
	if (scan->length_at || (u8)(rest >> 48) != ':')
		scan->doubt = 1;
	scan->length_at = at + 15;
}

/* Whether the line before `at` is a request's or a response's first one. */
static inline int is_first_line(struct scratch *scratch, u32 at)
{
	u64 http = WORD('H', 'T', 'T', 'P', '/', '1', '.', 0);
	return (word_at(scratch, at - 10) & LOW_SEVEN) == http || (word_at(scratch, 0) & LOW_SEVEN) == http;
}

/* Reads the marked lines, the last of which is empty. */
static inline void read_lines(struct scratch *scratch)
{
	struct scan *scan = &scratch->scan;
	for (int i = 0; i < HEAD_LINES + HEAD_BLOCKS; i++) {
		u32 block = scan->block & (HEAD_BLOCKS - 1), at;
		u64 feeds = scan->lines[block];
		if (!feeds) {
			scan->block++;
			continue;
		}
		scan->lines[block] = feeds & (feeds - 1);
		at = block * BLOCK + bits_set(feeds ^ (feeds - 1));
		if (!scan->line && !is_first_line(scratch, at))
			scan->doubt = 1;
		scan->line = at;
		if (at + 2 == scan->end)
			return;
		look_at_line(scratch, at);
	}
	scan->doubt = 1;
}

/* Finds the end of the head in the first `size` bytes of scratch->bytes. */
static inline void scan_head(struct scratch *scratch, u32 size)
{
	struct scan *scan = &scratch->scan;
	scan->end = scan->line = scan->length_at = scan->doubt = scan->block = 0;
	scan->feeds = scan->carry = 0;
	scan->size = size;
	for (int block = 0; block < HEAD_BLOCKS; block++) {
		if (block * BLOCK >= scan->size)
			break;
		if (!mark_lines(scan, (u64 *)(scratch->bytes + block * BLOCK), block))
			break;
	}
	if (!scan->end || scan->end > scan->size)
		scan->doubt = 1;
	if (!scan->doubt)
		read_lines(scratch);
}

/* The value of Content-Length; sets scan->doubt if it is not digits only. */
static inline u64 read_length(struct scratch *scratch)
{
	u64 length = 0, at = scratch->scan.length_at;
	u32 digits = 0;
	for (int i = 0; i < LENGTH_DIGITS; i++) {
		u8 byte = word_at(scratch, at + i);
		if (byte == ' ' && !i)
			continue;
		if (byte == '\r' && digits)
			return length;
		if (byte < '0' || byte > '9')
			break;
		length = length * 10 + byte - '0';
		digits = 1;
	}
	scratch->scan.doubt = 1;
	return 0;
}
