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

#define FRAMES_MAX 160 /* frames and buffers of one call */
#define SKIP_LEAST 512 /* bytes; less is not worth an extra event */

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
	u64 stream; /* and which side, in the upper half */
};

BPF_TABLE("lru_hash", struct body, u64, bodies, SIZED);

/* Skips the bytes between two positions; all others are copied. */
static inline void leave_out(struct scratch *scratch, u64 from, u64 until)
{
	struct scan *scan = &scratch->scan;
	struct copy_range *range;
	u32 index = scratch->walk.ranges;
	if (from < scan->told)
		from = scan->told;
	until = lesser(until, scan->stop);
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
	u64 length, size = lesser(lesser(scratch->walk.left, scratch->walk.room), HEAD_MAX);
	int response;
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
	key.stream = (u32)(track->head[5] << 24 | track->head[6] << 16 | track->head[7] << 8 | track->head[8]) |
		     (u64)side << 32;
	passed = bodies.lookup(&key);
	if (passed) {
		before = *passed;
		*passed = before + length;
	}
	if (track->head[4] & FLAG_END_STREAM)
		bodies.delete(&key);
	else if (!passed)
		bodies.update(&key, &length);
	return cap - lesser(before, cap);
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
	from += (track->head[4] & FLAG_PADDED) / FLAG_PADDED; /* skips the length of the padding */
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
		size = lesser(size, scan->room);
		if (scan->at >= track->end) {
			size = lesser(size, scan->stop - scan->at);
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
	u64 size = lesser(scratch->walk.left, scratch->walk.room);
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
