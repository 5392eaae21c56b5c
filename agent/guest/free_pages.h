// Free memory of the guest.
#ifndef PODVISOR_AGENT_GUEST_FREE_PAGES_H_
#define PODVISOR_AGENT_GUEST_FREE_PAGES_H_

namespace podvisor::guest {

// Writes to the pages that were freed last: the kernel gives those out first. Under TCG a page that held a program is
// paid for by who writes to it next, with one flush of the processor's lookup table for each translated piece of code
// in it: 60 flushes, a fourth of a CreateContainer, for the page of the rehearsal's program. What does not work is no
// failure.
void OverwriteFreePages();

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_FREE_PAGES_H_
