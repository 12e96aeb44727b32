// The x87 transcendental instructions: operands from the stack, results back to it. The functions
// themselves are transcendental.h's.

#include "vxengine/machine/families.h"
#include "vxengine/machine/transcendental.h"
#include "vxengine/machine/x87.h"

namespace vx {
namespace {

X87Register FinishFunction(const Exact& value, const Transcendental& function, X87Status* status) {
  status->raised |= function.exceptions & kZe;
  return FinishFarOut(value, (function.exceptions & kDe) != 0, status);
}

// ST(0) = kFunction(ST(0))
template <Transcendental (*kFunction)(const X87Register&)>
bool OfTop(Cpu& cpu, const Instruction&) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  X87Register result;
  if (IsEmpty(x87, 0)) {
    result = status.StackUnderflow();
  } else if (!DeliverNan(Unpack(St(x87, 0)), &status, &result)) {
    const Transcendental function = kFunction(St(x87, 0));
    if (function.out_of_range) {
      status.Report(x87);
      x87.status |= kC2;
      return true;
    }
    result = FinishFunction(function.value, function, &status);
  }
  Deliver(x87, status, result, 0);
  return true;
}

// The same, and another result is pushed.
template <Transcendental (*kFunction)(const X87Register&)>
bool OfTopAndPush(Cpu& cpu, const Instruction&) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  X87Register result, pushed;
  if (IsEmpty(x87, 0)) {
    result = pushed = status.StackUnderflow();
  } else if (!IsEmpty(x87, 7)) {
    result = pushed = status.StackOverflow();
  } else if (DeliverNan(Unpack(St(x87, 0)), &status, &result)) {
    pushed = result;
  } else {
    const Transcendental function = kFunction(St(x87, 0));
    if (function.out_of_range) {
      status.Report(x87);
      x87.status |= kC2;
      return true;
    }
    result = FinishFunction(function.value, function, &status);
    const bool rounded_up = status.rounded_up;
    pushed = FinishFunction(function.pushed, function, &status);
    if (function.pushed.rest == 0) status.rounded_up = rounded_up;
  }
  if (!status.Report(x87)) return true;
  SetSt(x87, 0, result);
  Push(x87, pushed);
  return true;
}

// ST(1) = kFunction(ST(0), ST(1)), and pops.
template <Transcendental (*kFunction)(const X87Register&, const X87Register&)>
bool OfTwo(Cpu& cpu, const Instruction&) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  X87Register result;
  if (IsEmpty(x87, 0) || IsEmpty(x87, 1)) {
    result = status.StackUnderflow();
  } else if (!DeliverNan(Unpack(St(x87, 0)), Unpack(St(x87, 1)), &status, &result)) {
    const Transcendental function = kFunction(St(x87, 0), St(x87, 1));
    result = FinishFunction(function.value, function, &status);
  }
  Deliver(x87, status, result, 1, 1);
  return true;
}

// Those that have a range say in C2 whether the operand was outside.
template <Action kAction>
bool WithRange(Cpu& cpu, const Instruction& i) {
  cpu.x87().status &= static_cast<uint16_t>(~kC2);
  return kAction(cpu, i);
}

}  // namespace

constinit const Family kF2xm1 = X87<Waiting<OfTop<F2xm1>>>();
constinit const Family kFyl2x = X87<Waiting<OfTwo<Fyl2x>>>();
constinit const Family kFyl2xp1 = X87<Waiting<OfTwo<Fyl2xp1>>>();
constinit const Family kFpatan = X87<Waiting<OfTwo<Fpatan>>>();
constinit const Family kFptan = X87<Waiting<WithRange<OfTopAndPush<Fptan>>>>();
constinit const Family kFsin = X87<Waiting<WithRange<OfTop<Fsin>>>>();
constinit const Family kFcos = X87<Waiting<WithRange<OfTop<Fcos>>>>();
constinit const Family kFsincos = X87<Waiting<WithRange<OfTopAndPush<Fsincos>>>>();

}  // namespace vx
