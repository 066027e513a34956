/* Golden bytes of caponier.v1; docs/protocol.md describes the same frames. */
/* clang-format off: one field a line reads as the frame does. */
#ifndef CPN_TESTS_TUNNEL_VECTORS_H
#define CPN_TESTS_TUNNEL_VECTORS_H

static const struct tunnel_vector {
    const char *meaning;
    const char *hex;
    cpn_tunnel_type type;
    uint32_t stream;
    uint64_t value;
    const char *body;   /* not for OPEN */
    const char *target; /* OPEN only */
    const char *first;
} tunnel_vectors[] = {
    { "open stream 1, peer may send 65536 bytes, no first bytes",
      "01000000" "00000001" "0000000000010000" "0009" "7b2276223a22616222",
      CPN_TUNNEL_OPEN, 1, 65536, NULL, "{\"v\":\"ab\"", "" },
    { "open stream 7 with the first bytes SSH-2.0-x CR LF",
      "01000000" "00000007" "0000000000010000" "0002" "7b7d" "5353482d322e302d780d0a",
      CPN_TUNNEL_OPEN, 7, 65536, NULL, "{}", "SSH-2.0-x\r\n" },
    { "stream 1 is open, its opener may send 65536 bytes",
      "02000000" "00000001" "0000000000010000" "7b7d",
      CPN_TUNNEL_OPENED, 1, 65536, "{}", NULL, NULL },
    { "stream 1 is refused",
      "03000000" "00000001" "0000000000000000" "7b2263223a317d",
      CPN_TUNNEL_REFUSED, 1, 0, "{\"c\":1}", NULL, NULL },
    { "bytes 4294967296 and 4294967297 of stream 2",
      "04000000" "00000002" "0000000100000000" "6869",
      CPN_TUNNEL_DATA, 2, 4294967296ull, "hi", NULL, NULL },
    { "stream 2 ends behind byte 4294967297",
      "05000000" "00000002" "0000000100000002",
      CPN_TUNNEL_FIN, 2, 4294967298ull, "", NULL, NULL },
    { "stream 3 is torn down without a word",
      "06000000" "00000003" "0000000000000000",
      CPN_TUNNEL_RESET, 3, 0, "", NULL, NULL },
    { "stream 3 is torn down with a reason",
      "06000000" "00000003" "0000000000000000" "7b7d",
      CPN_TUNNEL_RESET, 3, 0, "{}", NULL, NULL },
    { "the peer may send up to the last offset there is",
      "07000000" "ffffffff" "7fffffffffffffff",
      CPN_TUNNEL_CREDIT, 0xffffffffu, CPN_TUNNEL_OFFSET_MAX, "", NULL, NULL },
    { "16384 bytes were written to the destination",
      "08000000" "00000001" "0000000000004000",
      CPN_TUNNEL_ACK, 1, 16384, "", NULL, NULL },
    { "are you there",
      "09000000" "00000000" "fedcba9876543210",
      CPN_TUNNEL_PING, 0, 0xfedcba9876543210ull, "", NULL, NULL },
    { "here I am",
      "0a000000" "00000000" "fedcba9876543210",
      CPN_TUNNEL_PONG, 0, 0xfedcba9876543210ull, "", NULL, NULL },
};

#endif
