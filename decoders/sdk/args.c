#include "decoders/sdk/args.h"

#include <string.h>
#include <unistd.h>

static void Say(const char* text, size_t size) { write(VX_FD_DIAGNOSTICS, text, size); }

/* Decimal, at least 1, below 2^64; else 0. */
static unsigned long long Number(const char* text) {
  unsigned long long number = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    unsigned digit = (unsigned)(*text - '0');
    if (number > (~0ull - digit) / 10) return 0;
    number = 10 * number + digit;
    if (number == 0) return 0; /* numbers have one spelling */
  }
  return *text == '\0' ? number : 0;
}

/* Whether `argument` is what the `size` bytes at `declared` allow: "--a", "--b=N", "--c=2|4". */
static int Allows(const char* declared, size_t size, const char* argument) {
  const char *end = declared + size, *value = memchr(declared, '=', size);
  size_t name = value == NULL ? size : (size_t)(value + 1 - declared);
  if (strncmp(argument, declared, name) != 0) return 0;
  argument += name;
  if (value == NULL) return *argument == '\0';
  value++;
  if (end - value == 1 && *value == 'N') return Number(argument) != 0;
  for (size_t length = strlen(argument); value < end; value++) {
    const char* bar = memchr(value, '|', (size_t)(end - value));
    if (bar == NULL) bar = end;
    if ((size_t)(bar - value) == length && memcmp(value, argument, length) == 0) return 1;
    value = bar;
  }
  return 0;
}

/* The next `parameter` or `preview` of the note from *at on, and its size, with *at behind its
 * line; NULL if there is none. */
static const char* NextDeclared(const char** at, const char* end, size_t* size) {
  while (*at < end) {
    const char* line = *at;
    *at = (const char*)memchr(line, '\n', (size_t)(end - line)) + 1;
    if (strncmp(line, "parameter: ", 11) != 0 && strncmp(line, "preview: ", 9) != 0) continue;
    const char* declared = strchr(line, ' ') + 1;
    *size = strcspn(declared, " ;\n");
    return declared;
  }
  return NULL;
}

static int IsDeclared(const char* argument, const char* note, const char* end) {
  const char* declared;
  for (size_t size; (declared = NextDeclared(&note, end, &size)) != NULL;)
    if (Allows(declared, size, argument)) return 1;
  return 0;
}

static int IsRepeated(char** argv, char** argument) {
  size_t name = strcspn(*argument, "=");
  for (char** other = argv + 1; other < argument; other++)
    if (strcspn(*other, "=") == name && memcmp(*other, *argument, name) == 0) return 1;
  return 0;
}

void vx_check_arguments(const char* decoder, char** argv, const char* note, unsigned note_size) {
  const char *end = note + note_size, *declared;
  for (char** argument = argv + 1; *argument != NULL; argument++) {
    int is_declared = IsDeclared(*argument, note, end);
    if (is_declared && !IsRepeated(argv, argument)) continue;
    Say(decoder, strlen(decoder));
    if (is_declared)
      Say(": repeated argument ", 20);
    else
      Say(": unknown argument ", 19);
    Say(*argument, strlen(*argument));
    Say("; takes", 7);
    const char* before = " ";
    for (size_t size; (declared = NextDeclared(&note, end, &size)) != NULL; before = ", ") {
      Say(before, strlen(before));
      Say(declared, size);
    }
    Say("\n", 1);
    _exit(2);
  }
}

const char* vx_argument(char** argv, const char* name) {
  size_t length = strlen(name);
  for (char** argument = argv + 1; *argument != NULL; argument++) {
    const char* rest = *argument + length;
    if (strncmp(*argument, name, length) == 0 && (*rest == '=' || *rest == '\0'))
      return *rest == '=' ? rest + 1 : rest;
  }
  return NULL;
}

unsigned long long vx_argument_number(char** argv, const char* name) {
  const char* value = vx_argument(argv, name);
  return value == NULL ? 0 : Number(value);
}
