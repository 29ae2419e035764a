/* Calls every function of instructions_calls.S, and says how often each was entered. */
#include <stdio.h>

int again;

#define EACH(F) \
	F(push_behind_endbr) F(branch_either_way) F(loop_to_entry) F(tail_call_of_itself) \
	F(recursive) F(call_behind_sub) F(tail_call) F(long_nop_behind_endbr) F(own_memory) \
	F(loop_behind_endbr) F(near_loop_behind_endbr) F(loop_in_between) F(loop_instruction) \
	F(jrcxz_back) F(call_into_itself) F(jump_table) F(jump_by_register) F(jump_by_return) \
	F(jump_by_written_return) F(entered_close) F(entered_by_call) F(has_cold_part) \
	F(labelled) F(entered_from_afar) F(foreign_memory) F(division) F(computed_call) \
	F(push_at_once) F(nothing_emulated)
#define DECLARE(name) void name(int, int *);
#define ROW(name) {#name, name},

EACH(DECLARE)
DECLARE(enters_close)
DECLARE(enters_by_call)
DECLARE(labelled_entry)
DECLARE(enters_from_afar)

static const struct {
	const char *name;
	void (*function)(int, int *);
} functions[] = {EACH(ROW)};

static void (*volatile entry)(int, int *) = labelled_entry; /* no code names it */

int main(void)
{
	int entered[sizeof(functions) / sizeof(*functions)] = {0};
	int pushes = 0, value = 1;

	for (unsigned i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		for (int argument = 0; argument < 23; argument++) {
			again = 0;
			functions[i].function(argument % 5, &value);
			entered[i] += 1 + again;
		}
	}
	for (int i = 0; i < 7; i++) {
		enters_close(0, &value);
		enters_by_call(0, &value);
		entry(0, &value);
		enters_from_afar(0, &value);
	}
	pushes = 3 * 23; /* call_behind_sub, tail_call and computed_call call push_behind_endbr */
	for (unsigned i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		printf("%s %d\n", functions[i].name, entered[i] + (i ? 0 : pushes));
	return 0;
}
