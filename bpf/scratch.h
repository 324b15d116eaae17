/* Room for what the stack cannot hold. Each CPU has a few, since a program can be preempted or interrupted by
 * another one of ours. */

static inline struct scratch *take_scratch(void)
{
	for (int i = 0; i < SCRATCHES; i++) {
		int slot = i;
		struct scratch *scratch = scratches.lookup(&slot);
		if (!scratch)
			return 0;
		/* Add, then look: whoever comes between the two sees more than one and takes the next. */
		__sync_fetch_and_add(&scratch->busy, 1);
		if (*(volatile u32 *)&scratch->busy == 1)
			return scratch;
		__sync_fetch_and_add(&scratch->busy, -1);
	}
	return 0;
}

static inline void give_back(struct scratch *scratch)
{
	__sync_fetch_and_add(&scratch->busy, -1);
}
