/* Memory for values too large for the stack. Each CPU has several, since a program can be preempted or interrupted
 * by another. */

static inline struct scratch *take_scratch(void)
{
	for (int i = 0; i < SCRATCHES; i++) {
		KEY(slot, i);
		struct scratch *scratch = scratches.lookup(slot);
		if (!scratch)
			return 0;
		/* Add, then check: a program that runs in between sees more than one and takes the next. */
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
