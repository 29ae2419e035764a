/* One function for both ends of a call, kernel 6.13. Its two questions to the kernel are kfuncs,
 * which BCC can't call: the numbers of helpers that don't exist stand for them until they are
 * replaced (trace/kfunc.py). 1 at the entry: the return is of no interest. */
int on_session(struct pt_regs *ctx)
{
	u64 (*attach_cookie)(void *) = (void *)174;
	u64 (*session_is_return)(void) = (void *)SESSION_IS_RETURN;
	u32 slot = attach_cookie(ctx);

	if (session_is_return() & 1) {
		back(ctx, slot);
		return 0;
	}
	return hit(ctx, slot);
}
