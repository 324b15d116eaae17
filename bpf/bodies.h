/* Where bodies lie, so that what is beyond the cap is not copied. User space must find the next message all
 * the same, so only what has certainly an end of its own is left out, and every doubt means: copy all.
 *
 * HTTP/1: the kernel follows each half of a connection from its first byte, message by message, as long as
 * each has its whole head in one buffer and Content-Length or no body. Chunked bodies, pipelined requests and
 * any oddness in a head that a server might read in another way end that for the half, for good. A position
 * is never guessed, so a body cannot pass for a head.
 * HTTP/2: frames are followed from the preface on; of DATA beyond the cap only the header is copied. */

#define HEAD_MAX 4096 /* bytes of a head that are looked at */
#define HEAD_TURNS 640 /* its words of eight bytes and its lines */
#define FRAMES_MAX 160 /* frames and buffers of one call */
#define SKIP_LEAST 512 /* less is not worth an event of its own */
#define LENGTH_DIGITS 12

#define EACH(byte) (0x0101010101010101ull * (byte))
#define LOWER EACH(0x20)
#define WORD(a, b, c, d, e, f, g, h)                                                                       \
	((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 | (u64)(f) << 40 |     \
	 (u64)(g) << 48 | (u64)(h) << 56)
#define LOW_SEVEN 0x00ffffffffffffffull
#define LOW_FIVE 0x000000ffffffffffull
#define LOW_SIX 0x0000ffffffffffffull

#define FRAME_HEADER 9
#define FRAME_DATA 0
#define FRAME_SETTINGS 4
#define FLAG_END_STREAM 1
#define FLAG_PADDED 8
#define PREFACE 24

/* How much of a stream's DATA has passed. */
struct body {
	u64 course; /* address of the connection */
	u64 generation;
	u32 stream;
	u32 side;
};

BPF_TABLE("lru_hash", struct body, u64, bodies, BODIES);

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

/* Leaves out what lies from one position to the other; what is between two such parts is copied. */
static inline void leave_out(struct scratch *scratch, u64 from, u64 until)
{
	struct scan *scan = &scratch->scan;
	struct stretch *stretch;
	u32 index = scratch->walk.stretches;
	if (from < scan->told)
		from = scan->told;
	if (until > scan->stop)
		until = scan->stop;
	if (until <= from || index >= STRETCHES_MAX)
		return;
	stretch = &scratch->stretches[index & (STRETCHES_MAX - 1)];
	stretch->copy = from - scan->told;
	stretch->skip = until - from;
	scan->told = until;
	if (!index)
		scratch->walk.copy = stretch->copy;
	scratch->walk.stretches = index + 1;
}

/* One line of a head begins at `at`, after the line feed before it. */
static inline void look_at_line(struct scratch *scratch, u32 at)
{
	struct scan *scan = &scratch->scan;
	u64 name = word_at(scratch, at), rest;
	u8 first = name;
	if (!scan->line && (word_at(scratch, at - 10) & LOW_SEVEN) != WORD('H', 'T', 'T', 'P', '/', '1', '.', 0) &&
	    (word_at(scratch, 0) & LOW_SEVEN) != WORD('H', 'T', 'T', 'P', '/', '1', '.', 0))
		scan->doubt = 1;
	if (at == scan->line + 2)
		scan->end = at;
	else if (first <= ' ' && first != '\r')
		scan->doubt = 1; /* a folded line */
	scan->line = at;
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

/* Finds the end of the head in the first `size` bytes of scratch->bytes, a word at a time. */
static inline void scan_head(struct scratch *scratch, u32 size)
{
	struct scan *scan = &scratch->scan;
	scan->end = scan->line = scan->length_at = scan->doubt = scan->word = 0;
	scan->feeds = scan->alone = scan->carry = 0;
	scan->size = size;
	for (int i = 0; i < HEAD_TURNS; i++) {
		u64 feeds = scan->feeds, returns, carry;
		if (feeds) {
			u64 below = (feeds & -feeds) - 1; /* its bits, and those of all before it */
			scan->feeds = feeds & (feeds - 1);
			if (scan->alone & below)
				scan->doubt = 1; /* some take it for the end of a line, some do not */
			look_at_line(scratch, scan->word - 8 + ((below & EACH(1)) * EACH(1) >> 56));
			if (scan->end || scan->doubt)
				return;
			continue;
		}
		if (scan->word >= scan->size || scan->alone) {
			scan->doubt = 1;
			return;
		}
		returns = bytes_equal(word_at(scratch, scan->word), '\r');
		feeds = bytes_equal(word_at(scratch, scan->word), '\n');
		scan->word += 8;
		carry = returns >> 56;
		returns = returns << 8 | scan->carry;
		scan->carry = carry;
		scan->feeds = feeds & returns;
		scan->alone = feeds ^ returns;
	}
}

/* The value of Content-Length, in digits only; sets scan->doubt where it is anything else. */
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

static inline void lose(struct courses *courses)
{
	courses->half[0].mode = courses->half[1].mode = COURSE_UNKNOWN;
}

/* A request: its body's length, or none and scan->doubt. */
static inline u64 begin_request(struct scratch *scratch, struct courses *courses, u32 side)
{
	u64 method = word_at(scratch, 0);
	u32 before = courses->asked >> 1;
	u64 length = scratch->scan.length_at ? read_length(scratch) : 0;
	if (before != courses->answered && courses->half[!side].mode != COURSE_UNKNOWN)
		scratch->scan.doubt = 1; /* pipelined, or the answer to the one before has not begun */
	if (method == WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' '))
		scratch->scan.doubt = 1;
	courses->asked = (before + 1) << 1 | ((method & LOW_FIVE) == WORD('H', 'E', 'A', 'D', ' ', 0, 0, 0));
	return length;
}

/* A response: its body's length, or none and scan->doubt. */
static inline u64 begin_response(struct scratch *scratch, struct courses *courses, u32 side)
{
	u32 asked = *(volatile u32 *)&courses->asked;
	u64 status = word_at(scratch, 8);
	u8 class = status >> 8;
	if (asked >> 1 != courses->answered + 1) {
		scratch->scan.doubt = 1;
		return 0;
	}
	status = status >> 8 & 0xffffff;
	if (class == '1') {
		if (status == ('1' | '0' << 8 | '1' << 16))
			lose(courses); /* another protocol follows */
		return 0;
	}
	courses->answered++;
	if (asked & 1 || status == ('2' | '0' << 8 | '4' << 16) || status == ('3' | '0' << 8 | '4' << 16))
		return 0;
	if (!scratch->scan.length_at) {
		scratch->scan.doubt = 1; /* the connection's end is the body's */
		return 0;
	}
	return read_length(scratch);
}

/* A message begins with this call. */
static inline void begin_message(struct scratch *scratch, struct courses *courses, u32 side, u64 cap)
{
	struct course *course = &courses->half[side];
	struct scan *scan = &scratch->scan;
	u64 length, size = scratch->walk.left;
	int response;
	if (scratch->walk.room < size)
		size = scratch->walk.room;
	if (size > HEAD_MAX)
		size = HEAD_MAX;
	BOUND(size);
	if (bpf_probe_read_user(scratch->bytes, size, (void *)scratch->walk.base)) {
		lose(courses);
		return;
	}
	*(u64 *)(scratch->bytes + size) = 0;
	scan_head(scratch, size);
	response = (word_at(scratch, 0) & LOW_SEVEN) == WORD('H', 'T', 'T', 'P', '/', '1', '.', 0);
	length = response ? begin_response(scratch, courses, side) : begin_request(scratch, courses, side);
	if (!scan->end || scan->end > size || scan->doubt) {
		/* A request may have been another than it seems, and so may be its answer's end. */
		if (response)
			course->mode = COURSE_UNKNOWN;
		else
			lose(courses);
		return;
	}
	course->end += scan->end + length;
	course->keep = course->end;
	if (length >= cap + SKIP_LEAST)
		course->keep += cap - length;
}

/* How much of `length` bytes of DATA may still be copied. */
static inline u64 allowed(struct scratch *scratch, struct course *course, u32 side, u64 length, u64 cap)
{
	struct body key = {};
	u64 *passed, before = 0;
	key.course = scratch->head.address;
	key.generation = scratch->head.generation;
	key.stream = course->head[5] << 24 | course->head[6] << 16 | course->head[7] << 8 | course->head[8];
	key.side = side;
	passed = bodies.lookup(&key);
	if (passed)
		before = *passed;
	if (course->head[4] & FLAG_END_STREAM) {
		if (passed)
			bodies.delete(&key);
	} else if (passed) {
		*passed = before + length;
	} else {
		bodies.update(&key, &length);
	}
	return before < cap ? cap - before : 0;
}

/* A frame's header is complete. */
static inline void begin_frame(struct scratch *scratch, struct course *course, u32 side, u64 cap)
{
	u64 length = course->head[0] << 16 | course->head[1] << 8 | course->head[2];
	u64 from = course->end + FRAME_HEADER;
	course->have = 0;
	course->end = course->keep = from + length;
	if (course->head[3] != FRAME_DATA || length < SKIP_LEAST)
		return;
	if (course->head[4] & FLAG_PADDED)
		from++; /* the length of the padding */
	from += allowed(scratch, course, side, length, cap);
	if (from + SKIP_LEAST > course->end)
		return;
	course->keep = from;
	leave_out(scratch, from, course->end);
}

/* Goes from frame to frame over the call's bytes. */
static inline void follow_frames(struct scratch *scratch, struct course *course, u32 side, u64 cap)
{
	struct scan *scan = &scratch->scan;
	scan->base = scratch->walk.base;
	scan->room = scratch->walk.room;
	scan->iov = scratch->walk.iov;
	leave_out(scratch, course->keep, course->end);
	for (int i = 0; i < FRAMES_MAX; i++) {
		u64 entry[2] = {}, size, have = course->have;
		if (scan->at >= scan->stop)
			return;
		if (!scan->room) {
			if (!scan->iov)
				break;
			bpf_probe_read_user(entry, sizeof(entry), (void *)scan->iov);
			scan->iov += 16;
			scan->base = entry[0];
			scan->room = entry[1];
			continue;
		}
		size = scan->at < course->end ? course->end - scan->at : FRAME_HEADER - have;
		if (scan->room < size)
			size = scan->room;
		if (scan->at >= course->end) {
			if (scan->stop - scan->at < size)
				size = scan->stop - scan->at;
			asm volatile("%0 &= 15" : "+r"(size));
			asm volatile("%0 &= 15" : "+r"(have));
			bpf_probe_read_user(course->head + have, size, (void *)scan->base);
			course->have = have + size;
			if (course->have == FRAME_HEADER)
				begin_frame(scratch, course, side, cap);
		}
		scan->base += size;
		scan->room -= size;
		scan->at += size;
	}
	if (scan->at < scan->stop)
		course->mode = COURSE_UNKNOWN;
}

/* What does a half speak whose first bytes these are? A server begins HTTP/2 with SETTINGS. */
static inline u8 first_bytes_say(struct scratch *scratch, struct course *course)
{
	u64 size = scratch->walk.left;
	if (scratch->walk.room < size)
		size = scratch->walk.room;
	if (size < FRAME_HEADER || bpf_probe_read_user(course->head, FRAME_HEADER, (void *)scratch->walk.base))
		return COURSE_HTTP1;
	if (*(u64 *)course->head == WORD('P', 'R', 'I', ' ', '*', ' ', 'H', 'T')) {
		course->keep = course->end = PREFACE;
		return COURSE_HTTP2;
	}
	if ((*(u64 *)course->head & ~WORD(0, 0xff, 0xff, 0, 0, 0, 0, 0)) == WORD(0, 0, 0, FRAME_SETTINGS, 0, 0, 0, 0) &&
	    !course->head[8])
		return COURSE_HTTP2;
	return COURSE_HTTP1;
}

/* Decides which of the call's bytes are copied, before `ship` does it. */
static inline void plan(struct scratch *scratch, struct courses *courses, u32 side, u64 position)
{
	struct course *course = &courses->half[side & 1];
	struct walk *walk = &scratch->walk;
	struct scan *scan = &scratch->scan;
	u64 cap = setting(SETTING_BODY_CAP);
	walk->copy = ~0u;
	if (!cap || course->mode == COURSE_UNKNOWN)
		return;
	if (!walk->room && walk->iov)
		next_buffer(walk);
	scan->at = scan->told = position;
	scan->stop = position + walk->left;
	if (position > course->end + course->have || walk->messages) {
		course->mode = COURSE_UNKNOWN;
		return;
	}
	if (walk->blind)
		return; /* the next position tells whether a beginning was in it */
	if (course->mode == COURSE_START)
		course->mode = first_bytes_say(scratch, course);
	if (course->mode == COURSE_HTTP2) {
		follow_frames(scratch, course, side & 1, cap);
		return;
	}
	if (position == course->end)
		begin_message(scratch, courses, side & 1, cap);
	if (scan->stop > course->end)
		course->mode = COURSE_UNKNOWN; /* more than one message in a call */
	else if (course->mode == COURSE_HTTP1)
		leave_out(scratch, course->keep, course->end);
}
