/* A mode that looks at calls when they begin: it defines entered(). */
static inline int hit(struct pt_regs *ctx, u32 slot)
{
	if (!traced())
		return 0;
#ifdef WHERE_ENTRY
	if (slot < CONDITIONAL && !(WHERE_ENTRY))
		return 0;
#endif
	count(slot);
	if (slot < TARGETS) /* the others tell that a file is loaded */
		entered(ctx, slot);
	return 0;
}
