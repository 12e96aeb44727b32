/* lisp: an interpreter that walks the trees of a small Lisp. Stands for language implementations:
 * recursion, a large switch, pointers, unpredictable indirect jumps.
 *
 * Reads a program from standard input and prints the value of each expression that is not a
 * definition. Values are whole numbers of 31 bits and lists of them; functions are global:
 *
 *   (define (name parameter...) expression)
 *   (if a b c) (let name value expression) (+ - * / % < = a b) (cons a b) (car a) (cdr a) (null a)
 *   nil */
#include "tools/benchmarks/guests/guest.h"

enum { kNames = 256, kParameters = 6, kNodes = 1 << 12, kCells = 1 << 20 };

typedef enum {
  kNumber,
  kLocal,
  kCall,
  kIf,
  kLet,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kRest,
  kLess,
  kEqual,
  kCons,
  kCar,
  kCdr,
  kNull,
  kNil,
} Kind;

static const char* const kOperators[] = {
    [kIf] = "if",    [kLet] = "let", [kAdd] = "+",    [kSubtract] = "-", [kMultiply] = "*",
    [kDivide] = "/", [kRest] = "%",  [kLess] = "<",   [kEqual] = "=",    [kCons] = "cons",
    [kCar] = "car",  [kCdr] = "cdr", [kNull] = "null"};

typedef struct Node {
  Kind kind;
  int32_t value; /* of a number; the place of a local; which function */
  int count;
  struct Node* of[kParameters];
} Node;

typedef struct {
  char name[16];
  Node* body;
} Function;

/* Numbers are even, twice themselves; lists are odd, twice a cell's index plus 1; nil is 1. */
typedef int32_t Value;

static Node nodes[kNodes];
static Function functions[kNames];
static struct { Value head, tail; } cells[kCells];
static int node_count, function_count, cell_count = 1;
static uint64_t calls;

static const unsigned char* at;
static char token[16], locals[16][16];
static int local_count;

static void Next(void) {
  size_t length = 0;
  while (*at == ' ' || *at == '\n') at++;
  if (*at == '(' || *at == ')') {
    token[length++] = (char)*at++;
  } else {
    for (; *at > ' ' && *at != '(' && *at != ')'; at++) {
      if (length + 1 == sizeof token) Fail("lisp: a name is too long");
      token[length++] = (char)*at;
    }
  }
  token[length] = 0;
}

static int Is(const char* text) { return strcmp(token, text) == 0; }

static int FunctionNumber(void) {
  for (int i = 0; i < function_count; i++) {
    if (Is(functions[i].name)) return i;
  }
  if (function_count == kNames) Fail("lisp: too many names");
  strcpy(functions[function_count].name, token);
  return function_count++;
}

static void AddLocal(void) {
  if (local_count == 16) Fail("lisp: too many locals");
  strcpy(locals[local_count++], token);
}

/* Parses what begins with the current token; leaves its last one. */
static Node* Parse(void) {
  if (node_count == kNodes) Fail("lisp: the program is too large");
  Node* node = &nodes[node_count++];
  if (!Is("(")) {
    node->kind = Is("nil") ? kNil : kNumber;
    node->value = 2 * (int32_t)strtol(token, NULL, 10);
    for (int i = 0; i < local_count; i++) {
      if (!Is(locals[i])) continue;
      node->kind = kLocal;
      node->value = i;
    }
    return node;
  }
  Next();
  node->kind = kCall;
  for (Kind kind = kIf; kind <= kNull; kind++) {
    if (Is(kOperators[kind])) node->kind = kind;
  }
  if (node->kind == kCall) node->value = FunctionNumber();
  int outer_locals = local_count;
  if (node->kind == kLet) {
    Next();
    char name[16];
    strcpy(name, token);
    Next();
    node->of[node->count++] = Parse();
    node->value = local_count;
    strcpy(token, name);
    AddLocal();
  }
  for (Next(); !Is(")"); Next()) {
    if (*token == 0 || node->count == kParameters) Fail("lisp: a parenthesis is missing");
    node->of[node->count++] = Parse();
  }
  local_count = outer_locals;
  return node;
}

static Value Cons(Value head, Value tail) {
  if (cell_count == kCells) Fail("lisp: out of cells");
  cells[cell_count].head = head;
  cells[cell_count].tail = tail;
  return 2 * cell_count++ + 1;
}

static Value Evaluate(const Node* node, Value* frame) {
  for (;;) {
    Value a, b;
    switch (node->kind) {
      case kNumber:
        return node->value;
      case kNil:
        return 1;
      case kLocal:
        return frame[node->value];
      case kIf:
        node = node->of[Evaluate(node->of[0], frame) != 0 ? 1 : 2];
        continue;
      case kLet:
        frame[node->value] = Evaluate(node->of[0], frame);
        node = node->of[1];
        continue;
      case kCall: {
        Value inner[16];
        calls++;
        for (int i = 0; i < node->count; i++) inner[i] = Evaluate(node->of[i], frame);
        const Node* body = functions[node->value].body;
        if (body == NULL) Fail("lisp: a function is missing");
        return Evaluate(body, inner);
      }
      case kCar:
        return cells[Evaluate(node->of[0], frame) >> 1].head;
      case kCdr:
        return cells[Evaluate(node->of[0], frame) >> 1].tail;
      case kNull:
        return Evaluate(node->of[0], frame) == 1 ? 2 : 0;
      default:
        break;
    }
    a = Evaluate(node->of[0], frame);
    b = Evaluate(node->of[1], frame);
    switch (node->kind) {
      case kAdd:
        return a + b;
      case kSubtract:
        return a - b;
      case kMultiply:
        return (a >> 1) * b;
      case kDivide:
        return b == 0 ? 0 : 2 * (a / b);
      case kRest:
        return b == 0 ? 0 : a % b;
      case kLess:
        return a < b ? 2 : 0;
      case kEqual:
        return a == b ? 2 : 0;
      default:
        return Cons(a, b);
    }
  }
}

int main(void) {
  size_t size;
  at = ReadInput(&size);
  for (Next(); *token != 0; Next()) {
    const unsigned char* before = at;
    if (!Is("(")) Fail("lisp: expected a parenthesis");
    Next();
    local_count = 0;
    if (Is("define")) {
      Next();
      Next();
      int number = FunctionNumber();
      for (Next(); !Is(")"); Next()) AddLocal();
      Next();
      functions[number].body = Parse();
      Next();
      continue;
    }
    at = before;
    strcpy(token, "(");
    Value frame[16];
    Value value = Evaluate(Parse(), frame);
    for (; value & 1 && value != 1; value = cells[value >> 1].tail) {
      PrintResult("element", (uint64_t)(cells[value >> 1].head >> 1));
    }
    PrintResult("value", (uint64_t)(value >> 1));
    cell_count = 1; /* what no list names any more */
  }
  PrintResult("calls", calls);
  return 0;
}
