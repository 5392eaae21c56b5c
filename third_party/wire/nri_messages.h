// The messages of NRI, whatever was included before: NRI's LinuxSchedulerPolicy has the names of <sched.h>'s macros,
// which win in the code that follows. Include this instead of nri.pb.h.
#ifndef PODVISOR_THIRD_PARTY_WIRE_NRI_MESSAGES_H_
#define PODVISOR_THIRD_PARTY_WIRE_NRI_MESSAGES_H_

#include <sched.h>  // now, so that nothing below does

#pragma push_macro("SCHED_OTHER")
#undef SCHED_OTHER
#pragma push_macro("SCHED_FIFO")
#undef SCHED_FIFO
#pragma push_macro("SCHED_RR")
#undef SCHED_RR
#pragma push_macro("SCHED_BATCH")
#undef SCHED_BATCH
#pragma push_macro("SCHED_ISO")
#undef SCHED_ISO
#pragma push_macro("SCHED_IDLE")
#undef SCHED_IDLE
#pragma push_macro("SCHED_DEADLINE")
#undef SCHED_DEADLINE

#include "third_party/wire/nri.pb.h"

#pragma pop_macro("SCHED_OTHER")
#pragma pop_macro("SCHED_FIFO")
#pragma pop_macro("SCHED_RR")
#pragma pop_macro("SCHED_BATCH")
#pragma pop_macro("SCHED_ISO")
#pragma pop_macro("SCHED_IDLE")
#pragma pop_macro("SCHED_DEADLINE")

#endif  // PODVISOR_THIRD_PARTY_WIRE_NRI_MESSAGES_H_
