// A process that lives for milliseconds spends much of them on page faults.
#ifndef VXENGINE_PREFAULT_H_
#define VXENGINE_PREFAULT_H_

namespace vx {

// Makes the heap memory present that decoding something small takes, all at once: a fault costs
// more than zeroing many pages, in a virtual machine above all. Where the kernel can't
// (before 5.14), pages come one by one as ever. To be called before there are other threads.
void PrefaultHeap();

}  // namespace vx

#endif  // VXENGINE_PREFAULT_H_
