/* Tracks where bodies lie, so that bytes beyond the cap are not copied. User space must still find the next
 * message, so only bytes with a certain end are skipped, and in doubt everything is copied. A position is never
 * guessed, so a body cannot be taken for a head. Each half (struct body_track) starts in START if its connection
 * is captured from the first byte, else in UNKNOWN:
 *
 *   state    event                                         next     what is copied
 *   -------  --------------------------------------------  -------  ------------------------------------------
 *   START    first bytes: HTTP/2's preface, or SETTINGS    HTTP2    as there
 *   START    any other first bytes                         HTTP1    as there
 *   HTTP1    a head, whole in one buffer, and its body's   HTTP1    the head, and of the body as much as the
 *            length: Content-Length, or none                        cap allows
 *   HTTP1    bytes of the body                             HTTP1    as much as the cap allows
 *   HTTP1    a head that is cut, folded, doubled or odd,   UNKNOWN  all; after a request both halves, whose
 *            a chunked body, one that ends with the                 response may end elsewhere
 *            connection, a pipelined request, CONNECT
 *   HTTP1    101 (Switching Protocols)                     UNKNOWN  all, both halves
 *   HTTP1    more than one message in a call               UNKNOWN  all
 *   HTTP2    frames                                        HTTP2    all except DATA beyond its stream's cap,
 *                                                                   whose frame headers are copied
 *   HTTP2    more frames in a call than FRAMES_MAX         UNKNOWN  all
 *   any      a skipped position, or several                UNKNOWN  all
 *            messages in one system call (sendmmsg)
 *   UNKNOWN  anything                                      UNKNOWN  all
 */

#define HEAD_MAX 4096 /* bytes of a head that are read */
#define HEAD_TURNS 640 /* words of eight bytes and lines of a head */
#define FRAMES_MAX 160 /* frames and buffers of one call */
#define SKIP_LEAST 512 /* bytes; less is not worth an extra event */
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

/* The number of DATA bytes of a stream so far. */
struct body {
	u64 connection; /* its address */
	u64 generation;
	u32 stream;
	u32 side;
};

BPF_TABLE("lru_hash", struct body, u64, bodies, SIZED);

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

/* Skips the bytes between two positions; all others are copied. */
static inline void leave_out(struct scratch *scratch, u64 from, u64 until)
{
	struct scan *scan = &scratch->scan;
	struct copy_range *range;
	u32 index = scratch->walk.ranges;
	if (from < scan->told)
		from = scan->told;
	if (until > scan->stop)
		until = scan->stop;
	if (until <= from || index >= COPY_RANGES_MAX)
		return;
	range = &scratch->ranges[index & (COPY_RANGES_MAX - 1)];
	range->copy = from - scan->told;
	range->skip = until - from;
	scan->told = until;
	if (!index)
		scratch->walk.copy = range->copy;
	scratch->walk.ranges = index + 1;
}

/* Reads the line of a head that begins at `at`, after a line feed. */
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
			u64 below = (feeds & -feeds) - 1; /* the bits of it and of all before it */
			scan->feeds = feeds & (feeds - 1);
			if (scan->alone & below)
				scan->doubt = 1; /* parsers differ on whether it ends a line */
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

static inline void stop_tracking(struct body_tracks *tracks)
{
	tracks->half[0].mode = tracks->half[1].mode = TRACK_UNKNOWN;
}

/* The length of a request's body, or none and scan->doubt. */
static inline u64 begin_request(struct scratch *scratch, struct body_tracks *tracks, u32 side)
{
	u64 method = word_at(scratch, 0);
	u32 before = tracks->asked >> 1;
	u64 length = scratch->scan.length_at ? read_length(scratch) : 0;
	if (before != tracks->answered && tracks->half[!side].mode != TRACK_UNKNOWN)
		scratch->scan.doubt = 1; /* pipelined, or the previous request's response has not begun */
	if (method == WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' '))
		scratch->scan.doubt = 1;
	tracks->asked = (before + 1) << 1 | ((method & LOW_FIVE) == WORD('H', 'E', 'A', 'D', ' ', 0, 0, 0));
	return length;
}

/* The length of a response's body, or none and scan->doubt. */
static inline u64 begin_response(struct scratch *scratch, struct body_tracks *tracks, u32 side)
{
	u32 asked = *(volatile u32 *)&tracks->asked;
	u64 status = word_at(scratch, 8);
	u8 class = status >> 8;
	if (asked >> 1 != tracks->answered + 1) {
		scratch->scan.doubt = 1;
		return 0;
	}
	status = status >> 8 & 0xffffff;
	if (class == '1') {
		if (status == ('1' | '0' << 8 | '1' << 16))
			stop_tracking(tracks); /* another protocol follows */
		return 0;
	}
	tracks->answered++;
	if (asked & 1 || status == ('2' | '0' << 8 | '4' << 16) || status == ('3' | '0' << 8 | '4' << 16))
		return 0;
	if (!scratch->scan.length_at) {
		scratch->scan.doubt = 1; /* the body ends with the connection */
		return 0;
	}
	return read_length(scratch);
}

/* Reads the head of the message that begins with this call. */
static inline void begin_message(struct scratch *scratch, struct body_tracks *tracks, u32 side, u64 cap)
{
	struct body_track *track = &tracks->half[side];
	struct scan *scan = &scratch->scan;
	u64 length, size = scratch->walk.left;
	int response;
	if (scratch->walk.room < size)
		size = scratch->walk.room;
	if (size > HEAD_MAX)
		size = HEAD_MAX;
	BOUND(size);
	if (read_bytes(&scratch->walk, scratch->bytes, size, scratch->walk.base)) {
		stop_tracking(tracks);
		return;
	}
	*(u64 *)(scratch->bytes + size) = 0;
	scan_head(scratch, size);
	response = (word_at(scratch, 0) & LOW_SEVEN) == WORD('H', 'T', 'T', 'P', '/', '1', '.', 0);
	length = response ? begin_response(scratch, tracks, side) : begin_request(scratch, tracks, side);
	if (!scan->end || scan->end > size || scan->doubt) {
		/* The request may be misread, and then so is the end of its response. */
		if (response)
			track->mode = TRACK_UNKNOWN;
		else
			stop_tracking(tracks);
		return;
	}
	track->end += scan->end + length;
	track->keep = track->end;
	if (length >= cap + SKIP_LEAST)
		track->keep += cap - length;
}

/* How many of `length` bytes of DATA may still be copied. */
static inline u64 allowed(struct scratch *scratch, struct body_track *track, u32 side, u64 length, u64 cap)
{
	struct body key = {};
	u64 *passed, before = 0;
	key.connection = scratch->head.address;
	key.generation = scratch->head.generation;
	key.stream = track->head[5] << 24 | track->head[6] << 16 | track->head[7] << 8 | track->head[8];
	key.side = side;
	passed = bodies.lookup(&key);
	if (passed)
		before = *passed;
	if (track->head[4] & FLAG_END_STREAM) {
		if (passed)
			bodies.delete(&key);
	} else if (passed) {
		*passed = before + length;
	} else {
		bodies.update(&key, &length);
	}
	return before < cap ? cap - before : 0;
}

/* Handles a complete frame header. */
static inline void begin_frame(struct scratch *scratch, struct body_track *track, u32 side, u64 cap)
{
	u64 length = track->head[0] << 16 | track->head[1] << 8 | track->head[2];
	u64 from = track->end + FRAME_HEADER;
	track->have = 0;
	track->end = track->keep = from + length;
	if (track->head[3] != FRAME_DATA || length < SKIP_LEAST)
		return;
	if (track->head[4] & FLAG_PADDED)
		from++; /* skips the length of the padding */
	from += allowed(scratch, track, side, length, cap);
	if (from + SKIP_LEAST > track->end)
		return;
	track->keep = from;
	leave_out(scratch, from, track->end);
}

/* Walks the frames in the call's bytes. */
static inline void follow_frames(struct scratch *scratch, struct body_track *track, u32 side, u64 cap)
{
	struct scan *scan = &scratch->scan;
	scan->base = scratch->walk.base;
	scan->room = scratch->walk.room;
	scan->iov = scratch->walk.iov;
	leave_out(scratch, track->keep, track->end);
	for (int i = 0; i < FRAMES_MAX; i++) {
		u64 size, have = track->have;
		if (scan->at >= scan->stop)
			return;
		if (!scan->room) {
			if (!scan->iov)
				break;
			read_buffer(&scratch->walk, scan->iov, &scan->base, &scan->room);
			scan->iov += 16;
			continue;
		}
		size = scan->at < track->end ? track->end - scan->at : FRAME_HEADER - have;
		if (scan->room < size)
			size = scan->room;
		if (scan->at >= track->end) {
			if (scan->stop - scan->at < size)
				size = scan->stop - scan->at;
			asm volatile("%0 &= 15" : "+r"(size));
			asm volatile("%0 &= 15" : "+r"(have));
			read_bytes(&scratch->walk, track->head + have, size, scan->base);
			track->have = have + size;
			if (track->have == FRAME_HEADER)
				begin_frame(scratch, track, side, cap);
		}
		scan->base += size;
		scan->room -= size;
		scan->at += size;
	}
	if (scan->at < scan->stop)
		track->mode = TRACK_UNKNOWN;
}

/* The protocol of a half by its first bytes. A server begins HTTP/2 with SETTINGS. */
static inline u8 first_bytes_say(struct scratch *scratch, struct body_track *track)
{
	u64 size = scratch->walk.left;
	if (scratch->walk.room < size)
		size = scratch->walk.room;
	if (size < FRAME_HEADER || read_bytes(&scratch->walk, track->head, FRAME_HEADER, scratch->walk.base))
		return TRACK_HTTP1;
	if (*(u64 *)track->head == WORD('P', 'R', 'I', ' ', '*', ' ', 'H', 'T')) {
		track->keep = track->end = PREFACE;
		return TRACK_HTTP2;
	}
	if ((*(u64 *)track->head & ~WORD(0, 0xff, 0xff, 0, 0, 0, 0, 0)) == WORD(0, 0, 0, FRAME_SETTINGS, 0, 0, 0, 0) &&
	    !track->head[8])
		return TRACK_HTTP2;
	return TRACK_HTTP1;
}

/* Decides which of the call's bytes are copied, before `ship` copies them. */
static inline void plan_copy(struct scratch *scratch, struct body_tracks *tracks, u32 side, u64 position)
{
	struct body_track *track = &tracks->half[side & 1];
	struct walk *walk = &scratch->walk;
	struct scan *scan = &scratch->scan;
	u64 cap = setting(SETTING_BODY_CAP);
	walk->copy = ~0u;
	if (!cap || track->mode == TRACK_UNKNOWN)
		return;
	if (!walk->room && walk->iov)
		next_buffer(walk);
	scan->at = scan->told = position;
	scan->stop = position + walk->left;
	if (position > track->end + track->have || walk->messages) {
		track->mode = TRACK_UNKNOWN;
		return;
	}
	if (walk->blind)
		return; /* the next position shows whether a start was in it */
	if (track->mode == TRACK_START)
		track->mode = first_bytes_say(scratch, track);
	if (track->mode == TRACK_HTTP2) {
		follow_frames(scratch, track, side & 1, cap);
		return;
	}
	if (position == track->end)
		begin_message(scratch, tracks, side & 1, cap);
	if (scan->stop > track->end)
		track->mode = TRACK_UNKNOWN; /* more than one message in a call */
	else if (track->mode == TRACK_HTTP1)
		leave_out(scratch, track->keep, track->end);
}
