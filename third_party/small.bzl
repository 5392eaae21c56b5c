"""How what the guest's agent is linked of is compiled."""

# The guest's memory is the pod's: small code, and nothing linked that is not called. GCC, asked for small code, copies
# by "rep movsb", of which an emulated processor does a byte at a time: the C library's memcpy takes a third of the time
# there, and a call is no longer.
SMALL = [
    "-Os",
    "-ffunction-sections",
    "-fdata-sections",
] + select({
    "//third_party:gcc": ["-mstringop-strategy=libcall"],
    "//conditions:default": [],
})
