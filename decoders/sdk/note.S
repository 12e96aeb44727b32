/* The note of what the build knows of a program: the lines in the file VX_NOTE_FILE. See VX_NOTE in vx.h. */
	.section .note.vxa, "a", @note
	.balign 4
	.long 4, 2f - 1f, 1 /* VX_NOTE_TYPE */
	.asciz "VXA"
1:	.incbin VX_NOTE_FILE
2:	.balign 4
	.section .note.GNU-stack, "", @progbits
