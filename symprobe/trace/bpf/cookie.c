/* One function for all targets: the link tells each its slot. */
int on_entry(struct pt_regs *ctx)
{
	/* helper 174, kernel 5.15: bpf_get_attach_cookie(ctx) */
	u64 (*attach_cookie)(void *) = (void *)174;

	hit(ctx, attach_cookie(ctx));
	return 0;
}
