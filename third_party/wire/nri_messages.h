// The messages of NRI, whatever was included before: NRI's LinuxSchedulerPolicy and LinuxSchedulerFlag have the
// names of macros of <sched.h> and <linux/sched.h>, which win in the code that follows. Include this instead of
// nri.pb.h.
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
#pragma push_macro("SCHED_FLAG_RESET_ON_FORK")
#undef SCHED_FLAG_RESET_ON_FORK
#pragma push_macro("SCHED_FLAG_RECLAIM")
#undef SCHED_FLAG_RECLAIM
#pragma push_macro("SCHED_FLAG_DL_OVERRUN")
#undef SCHED_FLAG_DL_OVERRUN
#pragma push_macro("SCHED_FLAG_KEEP_POLICY")
#undef SCHED_FLAG_KEEP_POLICY
#pragma push_macro("SCHED_FLAG_KEEP_PARAMS")
#undef SCHED_FLAG_KEEP_PARAMS
#pragma push_macro("SCHED_FLAG_UTIL_CLAMP_MIN")
#undef SCHED_FLAG_UTIL_CLAMP_MIN
#pragma push_macro("SCHED_FLAG_UTIL_CLAMP_MAX")
#undef SCHED_FLAG_UTIL_CLAMP_MAX

#include "third_party/wire/nri.pb.h"

#pragma pop_macro("SCHED_OTHER")
#pragma pop_macro("SCHED_FIFO")
#pragma pop_macro("SCHED_RR")
#pragma pop_macro("SCHED_BATCH")
#pragma pop_macro("SCHED_ISO")
#pragma pop_macro("SCHED_IDLE")
#pragma pop_macro("SCHED_DEADLINE")
#pragma pop_macro("SCHED_FLAG_RESET_ON_FORK")
#pragma pop_macro("SCHED_FLAG_RECLAIM")
#pragma pop_macro("SCHED_FLAG_DL_OVERRUN")
#pragma pop_macro("SCHED_FLAG_KEEP_POLICY")
#pragma pop_macro("SCHED_FLAG_KEEP_PARAMS")
#pragma pop_macro("SCHED_FLAG_UTIL_CLAMP_MIN")
#pragma pop_macro("SCHED_FLAG_UTIL_CLAMP_MAX")

#endif  // PODVISOR_THIRD_PARTY_WIRE_NRI_MESSAGES_H_
