"""Do files hold what was promised: check, diff, find."""
