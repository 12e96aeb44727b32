// How a region is made:
//
//  1. Discover: decode along fall-throughs and direct branches from the entry on. What is found is
//  a
//     list of runs, each of instructions that follow each other.
//  2. Emit: run by run in the order of guest addresses. Guest registers stay in host registers, so
//     most instructions become themselves, with a prefix. The guest's ESP is R15D plus a delta that
//     is known at every instruction: pushes and pops change the delta, and only where control may
//     come together is R15D brought up to it.
//     Flags that manuals leave undefined, and this CPU gives other values than the ABI, are
//     repaired where something may look at them.
//  3. Lay out: branches within the region are two bytes where they reach, loop heads are aligned.
//
// Calls and returns are paired with those of the host, whose stack predicts: behind each call the
// address that the guest really returned to, in R8D, is checked against the one that was expected.

#include "vxengine/translator/region.h"

#include <algorithm>
#include <array>

#include "vxengine/translator/context.h"
#include "vxengine/translator/emitter.h"
#include "vxengine/translator/flag_repair.h"
#include "vxengine/translator/guest_instruction.h"

namespace vx {
namespace {

constexpr uint32_t kMaxInstructions = 1024;  // in a region; more become links to other regions
constexpr uint32_t kReserved = kMaxInstructions;
constexpr uint32_t kFetch = 15;
constexpr int32_t kMaxDelta = 1 << 20;  // that ESP may be off R15D
constexpr uint32_t kLookAhead = 32;     // instructions, to see flags die
constexpr uint32_t kMaxPasses = 16;     // to see them die beyond branches
constexpr uint32_t kLoopAlignment = 32;
constexpr uint32_t kNone = UINT32_MAX;

// Recommended NOPs of 1 to 9 bytes (Intel SDM vol. 2B, table 4-12).
constexpr uint8_t kNops[9][9] = {{0x90},
                                 {0x66, 0x90},
                                 {0x0f, 0x1f, 0x00},
                                 {0x0f, 0x1f, 0x40, 0x00},
                                 {0x0f, 0x1f, 0x44, 0x00, 0x00},
                                 {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
                                 {0x0f, 0x1f, 0x80, 0, 0, 0, 0},
                                 {0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0},
                                 {0x66, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0}};

constexpr uint8_t kCallOpcode = 0xe8, kJumpOpcode = 0xe9;
constexpr uint8_t kJs = 0x8;

struct Run {
  uint32_t first = 0, end = 0;  // instructions
};

// Something whose size is known only when all is laid out. It stands between bytes of code.
struct Item {
  enum Type : uint8_t { kBranch, kAlign } type = kBranch;
  uint32_t raw = 0;  // bytes of code before it
  uint8_t opcode = 0;
  bool conditional = false;
  bool is_long = false;
  uint32_t label = kNone;  // where it leads, or
  uint32_t absolute = 0;   // there, an offset from the start of all code
  uint32_t link = kNone;   // of the guest address that it is to be linked to
  uint32_t size = 0;
  uint32_t offset = 0;  // in the region, once laid out
};

struct Label {
  uint32_t raw = 0;
  uint32_t item = 0;  // the first item that lies behind it
  uint32_t offset = 0;
};

// Addresses and what belongs to them, for the life of one region. Open addressing.
class AddressMap {
 public:
  AddressMap() : slots_(1024) {}
  void Clear() {
    ++generation_;
    count_ = 0;
  }
  uint32_t Find(uint32_t address) const {
    for (uint32_t at = Hash(address);; ++at) {
      const Slot& slot = slots_[at & (slots_.size() - 1)];
      if (slot.generation != generation_) return kNone;
      if (slot.address == address) return slot.value;
    }
  }
  void Insert(uint32_t address, uint32_t value) {
    if (++count_ * 2 > slots_.size()) Grow();
    Put({generation_, address, value});
  }

 private:
  struct Slot {
    uint32_t generation = 0, address = 0, value = 0;
  };
  static uint32_t Hash(uint32_t address) { return address * 0x9e3779b1u >> 12; }
  void Put(const Slot& slot) {
    uint32_t at = Hash(slot.address);
    while (slots_[at & (slots_.size() - 1)].generation == generation_) ++at;
    slots_[at & (slots_.size() - 1)] = slot;
  }
  void Grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.generation == generation_) Put(slot);
    }
  }
  std::vector<Slot> slots_;  // a power of two of them
  uint32_t generation_ = 1;
  uint32_t count_ = 0;
};

}  // namespace

struct RegionTranslator::State {
  State(const GuestText* text, const TranslatorOptions& options)
      : text(*text),
        options(options),
        wrong_anywhere(options.cpu.WrongAnywhere()),
        emit(options.shared ? 0x65 : 0) {
    instructions.reserve(kReserved);
    notes.reserve(kReserved);
    note_items.reserve(kReserved);
    items.reserve(kReserved);
  }

  void Discover(uint32_t entry, const std::function<uint32_t(uint32_t)>& known);
  void DiscoverRun(uint32_t address, uint32_t entry,
                   const std::function<uint32_t(uint32_t)>& known);
  void MarkBlock(uint32_t address);
  void FindLiveFlags();
  uint16_t LiveAfter(uint32_t index, const Run& run) const;
  void EmitAll();
  void EmitRun(const Run& run, uint32_t next_run_address);
  void EmitInstruction(uint32_t index, const Run& run);
  void EmitBlockStart(uint32_t index, const Run& run);
  void EmitBody(const GuestInstruction& i);
  void EmitRepaired(const GuestInstruction& i, uint16_t wrong, uint16_t live);
  void EmitPlain(const GuestInstruction& i);
  void EmitMemoryForm(const GuestInstruction& i, Emitter::Head head, unsigned reg);
  bool EmitStackPointerChange(const GuestInstruction& i, uint32_t index, const Run& run);
  void EmitCall(const GuestInstruction& i);
  void EmitReturnSite(uint32_t expected);
  void EmitIndirect(bool call);
  void EmitExit(uint32_t eip, uint32_t stub);
  void EmitLinkStubs();
  void LayOut(uint32_t offset);
  void Finish(uint32_t offset);

  // The helper for a string instruction, or 0.
  uint32_t HelperFor(const GuestInstruction& i) const {
    if (i.repeat != 0xf3 || i.prefix66) return 0;
    const bool compares = (i.opcode & 0xfe) == 0xa6;
    // How many iterations it will be is not known before.
    if (compares && options.metering != Metering::kNone) return 0;
    switch (i.opcode) {
      case 0xa4:
        return options.stubs.movsb;
      case 0xa5:
        return options.stubs.movsd;
      case 0xa6:
        return options.stubs.cmpsb;
      case 0xa7:
        return options.stubs.cmpsd;
      case 0xaa:
        return options.stubs.stosb;
      case 0xab:
        return options.stubs.stosd;
      default:
        return 0;
    }
  }
  bool Interprets(const GuestInstruction& i) const {
    if (i.undefined != 0 && wrong_anywhere != 0 && options.cpu.BeyondRepair(i)) return true;
    if (i.kind != Kind::kString) return i.kind == Kind::kInterpret;
    if (HelperFor(i) != 0) return false;
    // Which of two operands that can't be read is the fault's: CPUs differ.
    if ((i.opcode & 0xfe) == 0xa6) return true;
    return options.shared || (options.metering != Metering::kNone && i.repeat != 0);
  }
  // What a repeated comparison that faults leaves: some CPUs the flags of its last iteration,
  // others those from before it (Intel SDM vol. 2B, REP).
  bool LosesFlagsByFault(const GuestInstruction& i) const {
    return i.kind == Kind::kString && i.repeat != 0 && i.reads != 0 && !Interprets(i) &&
           HelperFor(i) == 0;
  }
  bool EndsBlock(const GuestInstruction& i) const { return i.ends_block() || Interprets(i); }
  bool NeedsEsp(const GuestInstruction& i) const;
  bool FlagsDead(uint32_t index, const Run& run) const;
  uint16_t UnitsFrom(uint32_t index, const Run& run) const;
  uint32_t ThunkRegister(const GuestInstruction& call) const;

  HostMemory Memory(const GuestInstruction& i) const {
    const bool on_stack = i.base == kEsp;
    return {.base = on_stack ? uint8_t{kHostEsp} : i.base,
            .index = i.index,
            .scale = i.scale,
            .displacement = i.displacement + static_cast<uint32_t>(on_stack ? delta : 0)};
  }
  HostMemory Stack(int32_t offset) const {
    return {.base = kHostEsp, .displacement = static_cast<uint32_t>(delta + offset)};
  }
  static unsigned Host(unsigned gpr) { return gpr == kEsp ? unsigned{kHostEsp} : gpr; }

  void Flush() {
    if (delta == 0) return;
    emit.Lea(kHostEsp, Stack(0));
    delta = 0;
  }
  uint32_t NewLabel() {
    labels.push_back({});
    return static_cast<uint32_t>(labels.size() - 1);
  }
  void Bind(uint32_t label) {
    labels[label] = {.raw = emit.size(), .item = static_cast<uint32_t>(items.size())};
  }
  void AddNote(uint32_t eip, uint16_t unpaid) {
    // Of instructions that emit nothing none needs a note, and there may be very many.
    if (!notes.empty() && notes.back().offset == emit.size() && note_items.back() == items.size()) {
      notes.pop_back();
      note_items.pop_back();
    }
    notes.push_back({.offset = emit.size(),
                     .eip = eip,
                     .esp_delta = delta,
                     .lost_flags = static_cast<uint16_t>(lost_flags),
                     .unpaid = unpaid});
    note_items.push_back(static_cast<uint32_t>(items.size()));
  }
  void Branch(uint8_t opcode, bool conditional, uint32_t target_eip, bool is_long = false);
  void BranchTo(uint8_t opcode, bool conditional, uint32_t absolute) {
    items.push_back({.raw = emit.size(),
                     .opcode = opcode,
                     .conditional = conditional,
                     .is_long = true,
                     .absolute = absolute});
  }
  void Jump(uint32_t absolute) { BranchTo(kJumpOpcode, false, absolute); }

  const GuestText& text;
  const TranslatorOptions options;
  const uint16_t wrong_anywhere;  // what this CPU gets wrong at some instruction
  Emitter emit;
  Region region;
  std::vector<Note>& notes = region.notes;  // offsets are of raw code until all is laid out
  const std::function<uint32_t(uint32_t)>* known_entries = nullptr;

  AddressMap places;  // guest address -> instruction
  std::vector<GuestInstruction> instructions;
  std::vector<uint32_t> instruction_labels;  // of each: its label, or kNone if it starts no block
  std::vector<uint8_t> loop_heads;           // of each: whether a branch leads back to it
  std::vector<uint16_t> live_flags;          // before each, if the CPU gets any wrong
  std::vector<uint32_t> blocks;              // guest addresses at which a block starts
  std::vector<uint32_t> work;
  std::vector<Run> runs;

  int32_t delta = 0;  // the guest's ESP is R15D plus this
  uint32_t lost_flags = 0;
  std::vector<Item> items;
  std::vector<Label> labels;
  std::vector<uint32_t> note_items;    // of each: the first item behind it
  AddressMap link_labels;              // guest address -> label of its stub
  std::vector<uint32_t> link_targets;  // guest addresses
  struct BudgetStub {
    uint32_t label, eip, units, lost_flags;
  };
  std::vector<BudgetStub> budget_stubs;
};

RegionTranslator::RegionTranslator(const GuestText* text, const TranslatorOptions& options)
    : state_(std::make_unique<State>(text, options)) {}
RegionTranslator::~RegionTranslator() = default;

const Region& RegionTranslator::Translate(uint32_t eip, uint32_t offset,
                                          const std::function<uint32_t(uint32_t)>& known) {
  State& s = *state_;
  s.known_entries = &known;
  s.Discover(eip, known);
  if (s.wrong_anywhere != 0) s.FindLiveFlags();
  s.EmitAll();
  s.LayOut(offset);
  s.Finish(offset);
  return s.region;
}

void RegionTranslator::State::Discover(uint32_t entry,
                                       const std::function<uint32_t(uint32_t)>& known) {
  places.Clear();
  instructions.clear();
  region.uses_x87 = false;
  runs.clear();
  blocks.clear();
  work.assign(1, entry);
  blocks.push_back(entry);
  while (!work.empty()) {
    const uint32_t address = work.back();
    work.pop_back();
    DiscoverRun(address, entry, known);
  }
  instruction_labels.assign(instructions.size(), kNone);
  loop_heads.assign(instructions.size(), 0);
  labels.clear();
  for (uint32_t address : blocks) MarkBlock(address);
  for (const GuestInstruction& i : instructions) {
    const bool branches = i.kind == Kind::kJcc || i.kind == Kind::kJump || i.kind == Kind::kLoop;
    if (!branches || i.immediate > i.eip) continue;
    const uint32_t head = places.Find(i.immediate);
    if (head != kNone) loop_heads[head] = 1;
  }
  std::sort(runs.begin(), runs.end(), [this](const Run& a, const Run& b) {
    return instructions[a.first].eip < instructions[b.first].eip;
  });
}

void RegionTranslator::State::MarkBlock(uint32_t address) {
  const uint32_t index = places.Find(address);
  if (index != kNone && instruction_labels[index] == kNone) instruction_labels[index] = NewLabel();
}

void RegionTranslator::State::DiscoverRun(uint32_t address, uint32_t entry,
                                          const std::function<uint32_t(uint32_t)>& known) {
  Run run{.first = static_cast<uint32_t>(instructions.size())};
  for (;;) {
    if (places.Find(address) != kNone || (address != entry && known(address) != 0) ||
        instructions.size() >= kMaxInstructions) {
      blocks.push_back(address);
      break;
    }
    places.Insert(address, static_cast<uint32_t>(instructions.size()));
    GuestInstruction& i = instructions.emplace_back();
    DecodeGuestInstruction(text.Fetch(address, kFetch), address, options.profile, &i);
    if (i.uses_x87()) region.uses_x87 = true;
    if (i.kind == Kind::kInterpret || !i.falls_through()) {
      if (i.kind == Kind::kJump) {
        work.push_back(i.immediate);
        blocks.push_back(i.immediate);
      }
      break;
    }
    address = i.next();
    if (i.kind == Kind::kJcc || i.kind == Kind::kLoop || i.kind == Kind::kJecxz) {
      work.push_back(i.immediate);
      blocks.push_back(i.immediate);
      if (options.metering != Metering::kNone) blocks.push_back(address);
    } else if (EndsBlock(i) || options.metering == Metering::kInstructions) {
      blocks.push_back(address);
    }
  }
  run.end = static_cast<uint32_t>(instructions.size());
  if (run.first != run.end) runs.push_back(run);
}

// Whether all flags are written before any is read, from the instruction `index` on. It looks no
// further than the next branch, so what isn't true of the flags stays within straight code.
bool RegionTranslator::State::FlagsDead(uint32_t index, const Run& run) const {
  uint32_t alive = kStatusFlags;
  const uint32_t end = std::min(run.end, index + kLookAhead);
  for (; index < end; ++index) {
    const GuestInstruction& i = instructions[index];
    if ((i.reads & alive) != 0 || Interprets(i)) return false;
    alive &= ~i.written;
    if (alive == 0) return true;
    if (i.ends_block()) return false;
  }
  return false;
}

// The flags that something may look at behind the instruction. Where instructions are counted none
// is dead beyond a branch: code may be left for other code there with what it has lost
// (TranslatedCpu::LostFlagsAt).
uint16_t RegionTranslator::State::LiveAfter(uint32_t index, const Run& run) const {
  const GuestInstruction& i = instructions[index];
  const auto live_at = [&](uint32_t address) {
    const uint32_t at = options.metering == Metering::kNone ? places.Find(address) : kNone;
    return at == kNone ? uint16_t{kStatusFlags} : live_flags[at];
  };
  switch (i.kind) {
    case Kind::kJump:
      return live_at(i.immediate);
    case Kind::kJcc:
    case Kind::kLoop:
    case Kind::kJecxz:
      return live_at(i.immediate) | live_at(i.next());
    default:
      if (i.ends_block() || Interprets(i)) return kStatusFlags;
      return index + 1 < run.end ? live_flags[index + 1] : live_at(i.next());
  }
}

// Backward, again and again until no more is found; the first guess is that all are dead. Where
// hostile code makes that long, all are live.
void RegionTranslator::State::FindLiveFlags() {
  live_flags.assign(instructions.size(), 0);
  uint32_t passes = 0;
  for (bool found = true; found;) {
    if (++passes > kMaxPasses) return live_flags.assign(instructions.size(), kStatusFlags);
    found = false;
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
      for (uint32_t index = run->end; index-- > run->first;) {
        const GuestInstruction& i = instructions[index];
        const uint16_t live =
            Interprets(i) ? kStatusFlags : (LiveAfter(index, *run) & ~i.determined()) | i.reads;
        found |= live != live_flags[index];
        live_flags[index] = live;
      }
    }
  }
}

// What a block costs from this instruction on.
uint16_t RegionTranslator::State::UnitsFrom(uint32_t index, const Run& run) const {
  if (options.metering == Metering::kNone) return 0;
  uint16_t units = 0;
  for (; index < run.end; ++index) {
    const GuestInstruction& i = instructions[index];
    if (Interprets(i)) break;  // which counts for itself
    units += i.kind == Kind::kCall && ThunkRegister(i) != kNone ? 3 : 1;
    if (i.ends_block()) break;
    if (index + 1 < run.end && instruction_labels[index + 1] != kNone) break;
  }
  return units;
}

void RegionTranslator::State::EmitAll() {
  emit.Clear();
  items.clear();
  notes.clear();
  note_items.clear();
  link_labels.Clear();
  link_targets.clear();
  budget_stubs.clear();
  delta = 0;
  lost_flags = 0;
  for (size_t n = 0; n < runs.size(); ++n) {
    const bool last = n + 1 == runs.size();
    EmitRun(runs[n], last ? kNone : runs[n + 1].first);
  }
  EmitLinkStubs();
}

void RegionTranslator::State::EmitRun(const Run& run, uint32_t next_first) {
  for (uint32_t index = run.first; index < run.end; ++index) {
    emit.Reserve();
    EmitInstruction(index, run);
  }
  const GuestInstruction& last = instructions[run.end - 1];
  if (last.kind == Kind::kInterpret || !last.falls_through()) {
    lost_flags = 0;
    return;
  }
  Flush();
  if (next_first == kNone || instructions[next_first].eip != last.next()) {
    Branch(kJumpOpcode, false, last.next());
    lost_flags = 0;
  }
}

// Instructions that need R15D to be the guest's ESP itself.
bool RegionTranslator::State::NeedsEsp(const GuestInstruction& i) const {
  if (delta > kMaxDelta || delta < -kMaxDelta || Interprets(i)) return true;
  switch (i.kind) {
    case Kind::kPlain:
    case Kind::kExchange:
    case Kind::kIncDec:
    case Kind::kSwap16:
      return (i.reg_operand == Operand::kGpr && i.reg == kEsp) ||
             (i.rm_operand == Operand::kGpr && !i.memory && i.has_modrm && i.rm == kEsp);
    case Kind::kCall:
    case Kind::kReturn:
      return false;
    case Kind::kCallRm:
      return !i.memory && i.rm == kEsp;
    default:
      return EndsBlock(i);
  }
}

void RegionTranslator::State::EmitInstruction(uint32_t index, const Run& run) {
  const GuestInstruction& i = instructions[index];
  if (instruction_labels[index] != kNone) EmitBlockStart(index, run);
  if (EmitStackPointerChange(i, index, run)) return;
  // LEA between a comparison and the jump that looks at it would keep the CPU from fusing them.
  const bool before_jump =
      index + 1 < run.end && instructions[index + 1].kind == Kind::kJcc && i.kind == Kind::kPlain;
  if (NeedsEsp(i) || (before_jump && delta != 0)) Flush();
  const uint32_t lost_before = lost_flags;
  if (LosesFlagsByFault(i)) lost_flags = kStatusFlags;
  AddNote(i.eip, UnitsFrom(index, run));
  lost_flags = lost_before;
  if (i.undefined != 0 && wrong_anywhere != 0 && !Interprets(i)) {
    const uint16_t wrong = options.cpu.WrongAt(i) & i.undefined;
    const uint16_t live = LiveAfter(index, run);
    EmitRepaired(i, wrong, wrong & live);
    lost_flags = (lost_flags & ~i.determined()) | (wrong & ~live);
    return;
  }
  EmitBody(i);
  lost_flags &= ~i.written;
}

// An instruction that leaves the flags `wrong` to this CPU, of which `live` are to be repaired.
void RegionTranslator::State::EmitRepaired(const GuestInstruction& i, uint16_t wrong,
                                           uint16_t live) {
  const bool damage = options.cpu.pretended && wrong != 0;
  if (live != 0 || damage) EmitBeforeRepair(i, live, &emit);
  EmitBody(i);
  if (damage) EmitDamage(i, wrong, &emit);
  if (live != 0) EmitRepair(i, live, Memory(i), &emit);
}

void RegionTranslator::State::EmitBlockStart(uint32_t index, const Run& run) {
  const GuestInstruction& i = instructions[index];
  Flush();
  if (loop_heads[index]) items.push_back({.type = Item::kAlign, .raw = emit.size()});
  Bind(instruction_labels[index]);
  // Whoever comes here may have lost what is dead.
  if (wrong_anywhere != 0 && options.metering == Metering::kNone) {
    lost_flags |= wrong_anywhere & ~live_flags[index];
  }
  const uint16_t units = UnitsFrom(index, run);
  if (units == 0) return;
  AddNote(i.eip, units);
  const uint32_t stub = NewLabel();
  const bool flags_dead = FlagsDead(index, run);
  budget_stubs.push_back({stub, i.eip, units, flags_dead ? kStatusFlags : lost_flags});
  const uint8_t budget = options.budget_offset;
  if (flags_dead) {
    emit.Bytes({0x49, 0x81, 0x6c, 0x24, budget});
    emit.Word(units);
    items.push_back(
        {.raw = emit.size(), .opcode = kJs, .conditional = true, .is_long = true, .label = stub});
    lost_flags = kStatusFlags;
    return;
  }
  emit.Bytes({0x41, 0x89, 0xca, 0x4d, 0x8b, 0x44, 0x24, budget, 0x4d, 0x8d, 0x80});
  emit.Word(0u - units);
  emit.Bytes({0x4d, 0x89, 0x44, 0x24, budget});
  emit.Bytes({0x41, 0x8b, 0x4c, 0x24, static_cast<uint8_t>(budget + 4), 0x67, 0xe3, 0x08});
  emit.Mov(kHostEcx, kR10);
  items.push_back({.raw = emit.size(), .opcode = kJumpOpcode, .is_long = true, .label = stub});
  emit.Mov(kHostEcx, kR10);
}

// Changes of ESP that only change the delta, or need no more than a LEA.
bool RegionTranslator::State::EmitStackPointerChange(const GuestInstruction& i, uint32_t index,
                                                     const Run& run) {
  if (i.kind != Kind::kPlain || i.two_byte || i.prefix66 || !i.has_modrm) return false;
  const bool to_esp = !i.memory && i.rm == kEsp;
  if ((i.opcode == 0x81 || i.opcode == 0x83) && to_esp && (i.reg == 0 || i.reg == 5)) {
    const int32_t change = static_cast<int32_t>(i.immediate);
    if (change > kMaxDelta || change < -kMaxDelta || delta > kMaxDelta || delta < -kMaxDelta ||
        !FlagsDead(index + 1, run)) {
      return false;
    }
    AddNote(i.eip, UnitsFrom(index, run));
    delta += i.reg == 0 ? change : -change;
    lost_flags = kStatusFlags;
    return true;
  }
  if (i.opcode == 0x8d && i.reg == kEsp && i.base == kEsp && i.index == kNoBase) {
    const int32_t change = static_cast<int32_t>(i.displacement);
    if (change > kMaxDelta || change < -kMaxDelta || delta > kMaxDelta || delta < -kMaxDelta) {
      return false;
    }
    AddNote(i.eip, UnitsFrom(index, run));
    delta += change;
    return true;
  }
  if (i.memory || (i.opcode != 0x89 && i.opcode != 0x8b)) return false;
  const unsigned to = i.opcode == 0x89 ? i.rm : i.reg, from = i.opcode == 0x89 ? i.reg : i.rm;
  if ((to == kEsp) == (from == kEsp)) return false;
  AddNote(i.eip, UnitsFrom(index, run));
  if (to == kEsp) {
    emit.Mov(kHostEsp, from);
    delta = 0;
  } else if (delta == 0) {
    emit.Mov(to, kHostEsp);
  } else {
    emit.Lea(to, Stack(0));
  }
  return true;
}

void RegionTranslator::State::EmitBody(const GuestInstruction& i) {
  if (Interprets(i)) return EmitExit(i.eip, options.stubs.interpret);
  switch (i.kind) {
    case Kind::kInterpret:
    case Kind::kNop:
      return;
    case Kind::kPlain:
      return EmitPlain(i);
    case Kind::kIncDec: {
      const Emitter::Head head{.mandatory = static_cast<uint8_t>(i.prefix66 ? 0x66 : 0),
                               .opcode = 0xff};
      return emit.RegisterForm(head, i.opcode >= 0x48 ? 1 : 0, Host(i.reg));
    }
    case Kind::kExchange: {
      const Emitter::Head head{.mandatory = static_cast<uint8_t>(i.prefix66 ? 0x66 : 0),
                               .opcode = 0x87};
      return emit.RegisterForm(head, kEax, Host(i.reg));
    }
    case Kind::kSwap16:
      emit.Byte(0x66);
      if (i.reg == kEsp) emit.Byte(0x41);
      emit.Byte(static_cast<uint8_t>(0xb8 | (Host(i.reg) & 7)));
      return emit.Immediate(0, 2);
    case Kind::kPush:
      if (i.reg == kEsp && delta != 0) {
        emit.Lea(kR8, Stack(0));
        emit.Store(Stack(-4), kR8);
      } else {
        emit.Store(Stack(-4), Host(i.reg));
      }
      delta -= 4;
      return;
    case Kind::kPushImmediate:
      emit.StoreImmediate(Stack(-4), i.immediate);
      delta -= 4;
      return;
    case Kind::kPushRm:
      if (i.memory) {
        emit.Load(kR8, Memory(i));
        emit.Store(Stack(-4), kR8);
      } else if (i.rm == kEsp) {
        emit.Lea(kR8, Stack(0));
        emit.Store(Stack(-4), kR8);
      } else {
        emit.Store(Stack(-4), i.rm);
      }
      delta -= 4;
      return;
    case Kind::kPop:
      emit.Load(Host(i.reg), Stack(0));
      delta = i.reg == kEsp ? 0 : delta + 4;
      return;
    case Kind::kLeave:
      emit.Load(kR8, {.base = kHostEbp});
      emit.Lea(kHostEsp, {.base = kHostEbp, .displacement = 4});
      emit.Mov(kHostEbp, kR8);
      delta = 0;
      return;
    case Kind::kString:
      if (const uint32_t helper = HelperFor(i); helper != 0) {
        return BranchTo(kCallOpcode, false, helper);
      }
      emit.Byte(0x67);
      if (i.prefix66) emit.Byte(0x66);
      if (i.repeat != 0) emit.Byte(i.repeat);
      return emit.Byte(i.opcode);
    case Kind::kJcc:
      return Branch(i.opcode & 15, true, i.immediate);
    case Kind::kJump:
      return Branch(kJumpOpcode, false, i.immediate);
    case Kind::kJumpRm:
      if (i.memory) {
        emit.Load(kR8, Memory(i));
      } else {
        emit.Mov(kR8, Host(i.rm));
      }
      return EmitIndirect(false);
    case Kind::kCall:
    case Kind::kCallRm:
      return EmitCall(i);
    case Kind::kReturn:
      emit.Load(kR8, Stack(0));
      emit.Lea(kHostEsp, Stack(static_cast<int32_t>(4 + i.immediate)));
      delta = 0;
      return emit.Byte(0xc3);
    case Kind::kLoop:
      emit.Lea(kHostEcx, {.base = kHostEcx, .displacement = ~0u});
      emit.Bytes({0x67, 0xe3, 0x05});
      return Branch(kJumpOpcode, false, i.immediate, true);
    case Kind::kJecxz:
      emit.Bytes({0x67, 0xe3, 0x02, 0xeb, 0x05});
      return Branch(kJumpOpcode, false, i.immediate, true);
    case Kind::kSystemCall:
      return EmitExit(i.next(), options.stubs.system_call);
  }
}

void RegionTranslator::State::EmitPlain(const GuestInstruction& i) {
  constexpr unsigned kScratch = 8;
  if (options.cpu.pretended && i.stores_x87()) EmitMemoryForm(i, {.opcode = 0x8b}, kScratch);
  Emitter::Head head{.mandatory = static_cast<uint8_t>(i.prefix66 ? 0x66 : i.repeat),
                     .two_byte = i.two_byte,
                     .opcode = i.opcode};
  const unsigned reg = i.reg_operand == Operand::kGpr ? Host(i.reg) : i.reg;
  if (i.exchanges_memory()) {
    // XCHG itself locks, which across cache lines slows down all of the host.
    EmitMemoryForm(i, {.mandatory = head.mandatory, .opcode = 0x8b}, kScratch);
    EmitMemoryForm(i, {.mandatory = head.mandatory, .opcode = 0x89}, reg);
    return emit.RegisterForm({.mandatory = head.mandatory, .opcode = 0x8b}, reg, kScratch);
  }
  if (!i.has_modrm && !i.memory) {
    if (head.mandatory != 0) emit.Byte(head.mandatory);
    if (i.reg_operand == Operand::kNone) {
      if (i.two_byte) emit.Byte(0x0f);
      emit.Byte(i.opcode);
    } else {
      if (reg >= 8) emit.Byte(0x41);
      if (i.two_byte) emit.Byte(0x0f);
      emit.Byte(static_cast<uint8_t>((i.opcode & 0xf8) | (reg & 7)));
    }
  } else if (i.memory) {
    if (!i.has_modrm)
      head.opcode = i.opcode < 0xa2 ? i.opcode - 0xa0 + 0x8a : i.opcode - 0xa2 + 0x88;
    EmitMemoryForm(i, head, reg);
  } else if (i.rm_operand == Operand::kGpr8 && i.rm >= 4 && reg >= 8) {
    // AH-BH can't be named beside R15D: MOVZX and MOVSX of them to ESP are the only such forms.
    // Rotated into AL-BL's place and back, by XCHG, which leaves the flags alone.
    const unsigned low = i.rm & 3;
    emit.RegisterForm({.opcode = 0x86}, low, low + 4);
    emit.RegisterForm(head, reg, low);
    emit.RegisterForm({.opcode = 0x86}, low, low + 4);
  } else {
    emit.RegisterForm(head, reg, i.rm_operand == Operand::kGpr ? Host(i.rm) : i.rm);
  }
  uint32_t immediate = i.immediate;
  if (i.two_byte && i.opcode == 0xc2) immediate &= 7;  // CMPPS and kin: the rest means nothing
  if (i.immediate_size != 0) emit.Immediate(immediate, i.immediate_size);
}

void RegionTranslator::State::EmitMemoryForm(const GuestInstruction& i, Emitter::Head head,
                                             unsigned reg) {
  const HostMemory memory = Memory(i);
  if (!i.accesses_memory) return emit.AddressForm(head, reg, memory);
  if (i.reg_operand != Operand::kGpr8 || i.reg < 4 || i.base != kEsp) {
    return emit.MemoryForm(head, reg, memory);
  }
  // AH-BH can't be named beside R15D: EBP stands in for it, and R8D keeps EBP.
  emit.Mov(kR8, kHostEbp);
  emit.Lea(kHostEbp, memory);
  AddNote(i.eip, notes.back().unpaid);
  notes.back().ebp_in_r8 = 1;
  emit.MemoryForm(head, reg, {.base = kHostEbp});
  emit.Mov(kHostEbp, kR8);
}

// MOV of the return address into a register and RET, as position-independent code has them
// (__x86.get_pc_thunk.*): the register, or kNone.
uint32_t RegionTranslator::State::ThunkRegister(const GuestInstruction& call) const {
  if (options.metering == Metering::kInstructions) return kNone;
  const std::span<const uint8_t> code = text.Fetch(call.immediate, 4);
  if (code.size() < 4 || code[0] != 0x8b || (code[1] & 0xc7) != 0x04 || code[2] != 0x24 ||
      code[3] != 0xc3) {
    return kNone;
  }
  const uint32_t reg = code[1] >> 3;
  return reg == kEsp ? kNone : reg;
}

void RegionTranslator::State::EmitCall(const GuestInstruction& i) {
  if (i.kind == Kind::kCall && i.immediate == i.next()) {
    // CALL of the next instruction is a way to push EIP.
    emit.StoreImmediate(Stack(-4), i.next());
    delta -= 4;
    return;
  }
  if (i.kind == Kind::kCall) {
    const uint32_t reg = ThunkRegister(i);
    if (reg != kNone) {
      emit.StoreImmediate(Stack(-4), i.next());
      return emit.MovImmediate(reg, i.next());
    }
  }
  if (i.kind == Kind::kCallRm && i.memory) emit.Load(kR10, Memory(i));
  if (i.kind == Kind::kCallRm && !i.memory && i.rm == kEsp) emit.Mov(kR10, kHostEsp);
  emit.StoreImmediate(Stack(-4), i.next());
  emit.Lea(kHostEsp, Stack(-4));
  delta = 0;
  if (i.kind == Kind::kCall) {
    Branch(kCallOpcode, false, i.immediate);
  } else {
    emit.Mov(kR8, i.memory || i.rm == kEsp ? unsigned{kR10} : i.rm);
    EmitIndirect(true);
  }
  EmitReturnSite(i.next());
}

// How far R8D is off is added to the address of the last byte that can be read there: context.h. It
// takes no branch and no flags, which a return that goes elsewhere takes along.
void RegionTranslator::State::EmitReturnSite(uint32_t expected) {
  emit.Bytes({0x45, 0x8d, 0x88});  // lea r9d, [r8-expected]
  emit.Word(0u - expected);
  emit.Bytes({0x47, 0x0f, 0xb6, 0x94, 0x0c});  // movzx r10d, byte [r12+r9+kContextPage-1]
  emit.Word(kContextPage - 1);
}

// To the guest address in R8D.
void RegionTranslator::State::EmitIndirect(bool call) {
  emit.Bytes({0x47, 0x8b, 0x0c, 0x86, 0x4f, 0x8d, 0x0c, 0x29, 0x41, 0xff});
  emit.Byte(call ? 0xd1 : 0xe1);
}

void RegionTranslator::State::EmitExit(uint32_t eip, uint32_t stub) {
  emit.MovImmediate(kR8, eip);
  Jump(stub);
}

void RegionTranslator::State::Branch(uint8_t opcode, bool conditional, uint32_t target_eip,
                                     bool is_long) {
  Item item{.raw = emit.size(),
            .opcode = opcode,
            .conditional = conditional,
            .is_long = is_long || opcode == kCallOpcode};
  const uint32_t index = places.Find(target_eip);
  if (index != kNone && instruction_labels[index] != kNone) {
    item.label = instruction_labels[index];
    items.push_back(item);
    return;
  }
  item.is_long = true;
  const uint32_t known = (*known_entries)(target_eip);
  item.link = target_eip;
  if (known != 0) {
    item.absolute = known;
  } else {
    item.label = link_labels.Find(target_eip);
    if (item.label == kNone) {
      item.label = NewLabel();
      link_labels.Insert(target_eip, item.label);
      link_targets.push_back(target_eip);
    }
  }
  items.push_back(item);
}

// What stands in for code that isn't there yet.
void RegionTranslator::State::EmitLinkStubs() {
  for (uint32_t target : link_targets) {
    emit.Reserve();
    Bind(link_labels.Find(target));
    AddNote(target, 0);
    EmitExit(target, options.stubs.miss);
  }
  for (const BudgetStub& stub : budget_stubs) {
    emit.Reserve();
    Bind(stub.label);
    AddNote(stub.eip, 0);
    emit.MovImmediate(kR9, stub.units | stub.lost_flags << kLostFlagsShift);
    EmitExit(stub.eip, options.stubs.budget);
  }
}

// Branches are short until they turn out not to reach; then they stay long.
void RegionTranslator::State::LayOut(uint32_t offset) {
  const auto size_of = [](const Item& item) -> uint32_t {
    return item.is_long ? (item.conditional ? 6 : 5) : 2;
  };
  bool grown = true;
  while (grown) {
    uint32_t shift = 0;
    for (Item& item : items) {
      item.offset = item.raw + shift;
      item.size = item.type == Item::kAlign ? (0u - (offset + item.offset)) % kLoopAlignment
                                            : size_of(item);
      shift += item.size;
    }
    for (Label& label : labels) {
      label.offset = label.item < items.size()
                         ? items[label.item].offset - (items[label.item].raw - label.raw)
                         : label.raw + shift;
    }
    grown = false;
    for (Item& item : items) {
      if (item.type != Item::kBranch || item.is_long) continue;
      const int64_t distance =
          int64_t{labels[item.label].offset} - (int64_t{item.offset} + item.size);
      if (distance < -128 || distance > 127) item.is_long = grown = true;
    }
  }
}

void RegionTranslator::State::Finish(uint32_t offset) {
  region.instructions = static_cast<uint32_t>(instructions.size());
  region.code.clear();
  region.entries.clear();
  region.links.clear();
  std::vector<uint8_t>& code = region.code;
  code.reserve(emit.size() + items.size() * 6);
  uint32_t copied = 0;
  const auto copy_until = [&](uint32_t raw) {
    code.insert(code.end(), emit.data() + copied, emit.data() + raw);
    copied = raw;
  };
  for (const Item& item : items) {
    copy_until(item.raw);
    if (item.type == Item::kAlign) {
      for (uint32_t left = item.size; left > 0;) {
        const uint32_t size = std::min<uint32_t>(left, 9);
        code.insert(code.end(), kNops[size - 1], kNops[size - 1] + size);
        left -= size;
      }
      continue;
    }
    const uint32_t target =
        item.label != kNone ? labels[item.label].offset : item.absolute - offset;
    const uint32_t distance = target - (item.offset + item.size);
    if (!item.is_long) {
      code.push_back(item.conditional ? 0x70 | item.opcode : 0xeb);
      code.push_back(static_cast<uint8_t>(distance));
      continue;
    }
    if (item.conditional) code.push_back(0x0f);
    code.push_back(item.conditional ? 0x80 | item.opcode : item.opcode);
    for (unsigned n = 0; n < 4; ++n) code.push_back(static_cast<uint8_t>(distance >> (8 * n)));
    if (item.link != kNone && item.label != kNone) {
      region.links.push_back({.rel32 = static_cast<uint32_t>(code.size()) - 4,
                              .stub = labels[item.label].offset,
                              .target = item.link});
    }
  }
  copy_until(emit.size());

  for (size_t n = 0; n < notes.size(); ++n) {
    const uint32_t next = note_items[n];
    notes[n].offset = next < items.size()
                          ? items[next].offset - (items[next].raw - notes[n].offset)
                          : notes[n].offset + (static_cast<uint32_t>(code.size()) - emit.size());
  }
  for (size_t n = 0; n < instructions.size(); ++n) {
    if (instruction_labels[n] == kNone) continue;
    region.entries.push_back({instructions[n].eip, labels[instruction_labels[n]].offset});
  }
}

}  // namespace vx
