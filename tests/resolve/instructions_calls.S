/* Functions whose second instruction is executed as often as the first, or is not, for every
 * reason that there is. instructions_calls.c calls them and counts; `again` counts the times that
 * a function comes back to its first instruction by itself.
 */
	.macro function name
	.text
	.balign 16
	.globl \name
	.type \name, @function
\name:
	.endm

	.macro finish name
	.size \name, . - \name
	.endm

/* --- as often --- */

function push_behind_endbr
	endbr64
	push %rbx
	pop %rbx
	ret
finish push_behind_endbr

function branch_either_way
	test %edi, %edi
	je 1f
	nop
1:	ret
finish branch_either_way

function loop_to_entry
	test %edi, %edi
	je 1f
	dec %edi
	incl again(%rip)
	jmp loop_to_entry
1:	ret
finish loop_to_entry

function tail_call_of_itself
	endbr64
	push %rbx
	pop %rbx
	dec %edi
	js 1f
	incl again(%rip)
	.byte 0xe9
	.long tail_call_of_itself - . - 4
1:	ret
finish tail_call_of_itself

function recursive
	mov %edi, %eax
	test %edi, %edi
	je 1f
	incl again(%rip)
	dec %edi
	call recursive
1:	ret
finish recursive

function call_behind_sub
	sub $8, %rsp
	call push_behind_endbr
	add $8, %rsp
	ret
finish call_behind_sub

function tail_call
	mov $1, %esi
	jmp push_behind_endbr
finish tail_call

function long_nop_behind_endbr
	endbr64
	.byte 0x66, 0x0f, 0x1f, 0x44, 0, 0
	ret
finish long_nop_behind_endbr

function own_memory
	mov again(%rip), %eax
	mov %rdi, -8(%rsp)
	mov %fs:0x28, %rax
	push %rbp
	pop %rbp
	ret
finish own_memory

/* --- not as often, and the function itself tells --- */

function loop_behind_endbr
	endbr64
1:	push %rax
	pop %rax
	dec %edi
	jg 1b
	ret
finish loop_behind_endbr

function near_loop_behind_endbr
	endbr64
1:	push %rax
	pop %rax
	dec %edi
	.byte 0x0f, 0x8f
	.long 1b - . - 4
	ret
finish near_loop_behind_endbr

function loop_in_between
	xor %eax, %eax
1:	inc %eax
	jo 2f
	cmp %edi, %eax
	jle 1b
2:	ret
finish loop_in_between

function loop_instruction
	mov %edi, %ecx
	inc %ecx
1:	push %rax
	pop %rax
	loop 1b
	ret
finish loop_instruction

function jrcxz_back
	mov %edi, %ecx
1:	push %rax
	pop %rax
	test %edi, %edi
	je 2f
	xor %ecx, %ecx
	xor %edi, %edi
	jrcxz 1b
2:	ret
finish jrcxz_back

function call_into_itself
	endbr64
1:	push %rax
	pop %rax
	dec %edi
	jle 2f
	xor %edi, %edi
	call 1b
2:	ret
finish call_into_itself

function jump_table
	endbr64
1:	push %rax
	pop %rax
	dec %edi
	js 2f
	lea 3f(%rip), %rcx
	jmp *(%rcx)
2:	ret
	.section .rodata
	.balign 8
3:	.quad 1b
	.text
finish jump_table

function jump_by_register
	endbr64
1:	push %rax
	pop %rax
	dec %edi
	js 2f
	lea 1b(%rip), %r11
	jmp *%r11
2:	ret
finish jump_by_register

function jump_by_return
	endbr64
1:	push %rax
	pop %rax
	dec %edi
	js 2f
	lea 1b(%rip), %rax
	push %rax
	ret
2:	ret
finish jump_by_return

function jump_by_written_return
	endbr64
1:	push %rax
	pop %rax
	dec %edi
	js 2f
	lea 1b(%rip), %rax
	push %rcx
	mov %rax, (%rsp)
	ret
2:	ret
finish jump_by_written_return

/* --- not as often, and only code elsewhere tells --- */

function enters_close
	jmp entered_close + 4
finish enters_close

function entered_close
	endbr64
	push %rax
	pop %rax
	ret
finish entered_close

function entered_by_call
	endbr64
	push %rax
	pop %rax
	ret
finish entered_by_call

function enters_by_call
	call entered_by_call + 4
	ret
finish enters_by_call

function has_cold_part
	endbr64
1:	push %rax
	pop %rax
	test %edi, %edi
	jne has_cold_part.cold
	ret
finish has_cold_part

	.section .text.unlikely, "ax"
	.type has_cold_part.cold, @function
has_cold_part.cold:
	xor %edi, %edi
	jmp 1b
finish has_cold_part.cold

	.fill 256, 1, 0x90 /* no neighbour whose bytes look like a branch */
function labelled
	endbr64
	.globl labelled_entry
labelled_entry:
	push %rax
	pop %rax
	ret
finish labelled
	.fill 256, 1, 0x90

	.balign 16
	.globl entered_from_afar
	.type entered_from_afar, @function
entered_from_afar:
	endbr64
	push %rax
	pop %rax
	ret
finish entered_from_afar

	.fill 300000, 1, 0x90
	.globl enters_from_afar
	.type enters_from_afar, @function
enters_from_afar:
	jmp entered_from_afar + 4
finish enters_from_afar

/* --- not known to be as often --- */

function foreign_memory
	mov (%rsi), %eax
	push %rax
	pop %rax
	ret
finish foreign_memory

function division
	mov $1, %eax
	cqto
	mov $1, %ecx
	div %ecx
	push %rax
	pop %rax
	ret
finish division

function computed_call
	endbr64
	mov %rdi, %rax
	lea push_behind_endbr(%rip), %rcx
	call *%rcx
	push %rax
	pop %rax
	ret
finish computed_call

/* --- nothing to gain --- */

function push_at_once
	push %rbp
	pop %rbp
	ret
finish push_at_once

function nothing_emulated
	lea 1(%rdi), %eax
	ret
finish nothing_emulated

	.section .note.GNU-stack, "", @progbits
