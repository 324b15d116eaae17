/* Recognises other protocols by a connection's first bytes, so that they never leave the kernel:
 *
 *   first bytes of the half                                      the connection
 *   -----------------------------------------------------------  -----------------------------------------
 *   0x16                                                         TLS: only counted
 *   a word, a space, and a line that ends in HTTP/ and a         handed over: a request, by any method (a
 *     version, or does not end yet                               method is any token: RFC 9110 section 9.1)
 *   a word that does not end yet                                 handed over
 *   "HTTP/", "\r", "\n"                                          handed over: a response, an empty line
 *   0x00, from the end that was called                           handed over: may be HTTP/2's SETTINGS
 *   anything else                                                not HTTP: only counted
 *
 * Nothing is ruled out that agent/streams/sniff.py accepts. Either end may begin; once the client has sent bytes,
 * the server's first bytes rule nothing out. */

#define FIRST_MAX 128 /* bytes that are inspected */

/* The high bit of each byte of `word` that is a space or control character; only the lowest mark is exact. */
static inline u64 bytes_blank(u64 word)
{
	return (word - EACH(' ' + 1)) & ~word & EACH(0x80);
}

/* The number of bytes up to and including the lowest marked one. */
static inline u32 bytes_to(u64 marks)
{
	u64 below = (marks & -marks) - 1;
	return (below & EACH(1)) * EACH(1) >> 56;
}

/* Whether the line of `length` bytes, including the line feed, is a request line. */
static inline int is_request_line(struct scratch *scratch, u32 length)
{
	u64 http = WORD(' ', 'H', 'T', 'T', 'P', '/', 0, 0);
	return (word_at(scratch, length - 11) & LOW_SIX) == http || (word_at(scratch, length - 10) & LOW_SIX) == http;
}

/* Whether the first `size` bytes of scratch->bytes may begin a request. */
static inline int may_be_request(struct scratch *scratch, u32 size)
{
	struct scan *scan = &scratch->scan;
	scan->size = size;
	scan->end = 0; /* of the method, with the space */
	for (u32 i = 0; i < FIRST_MAX; i += 8) {
		u64 word = word_at(scratch, i), blanks = bytes_blank(word), feeds = bytes_equal(word, '\n');
		u32 length = i + bytes_to(blanks);
		if (blanks && !scan->end) {
			if (length > scan->size)
				return 1;
			if (length == 1 || (u8)word_at(scratch, length - 1) != ' ')
				return 0;
			scan->end = length;
		}
		length = i + bytes_to(feeds);
		if (feeds)
			return length > scan->size || is_request_line(scratch, length);
	}
	return 1;
}

/* The counter for the connection's bytes if its first bytes rule out HTTP; else 0. */
static inline u16 first_bytes_rule_out(struct scratch *scratch, struct conn *conn, u32 direction)
{
	struct walk *walk = &scratch->walk;
	u32 asking = conn->tuple.role == ROLE_CLIENT ? DIRECTION_SENT : DIRECTION_RECEIVED;
	u64 size;
	u8 first;
	if (!(conn->flags & CONN_FROM_START) || conn->position[direction & 1] || conn->position[asking & 1])
		return 0;
	if (!walk->room && walk->iov)
		next_buffer(walk);
	size = lesser(lesser(walk->left, walk->room), FIRST_MAX);
	BOUND(size);
	if (!size || read_bytes(walk, scratch->bytes, size, walk->base))
		return 0;
	first = scratch->bytes[0];
	if (first == 0x16)
		return COUNT_TLS_CIPHERTEXT;
	if (first == '\r' || first == '\n' || (!first && direction != asking))
		return 0;
	if (size >= 5 && (word_at(scratch, 0) & LOW_FIVE) == WORD('H', 'T', 'T', 'P', '/', 0, 0, 0))
		return 0;
	return may_be_request(scratch, size) ? 0 : COUNT_NOT_HTTP;
}
