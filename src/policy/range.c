/* The table of ranges that are never targets. */
#include "policy/range.h"

#include "base/mem.h"

#define V4(a, b, c, d)                                                                             \
    {                                                                                              \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (a), (b), (c), (d)                               \
    }

typedef struct cpn_range {
    cpn_prefix prefix;
    bool loopback;
    bool single; /* one address inside a range that may well be declared */
    const char *why;
} cpn_range;

static const cpn_range ranges[] = {
    { { { V4(127, 0, 0, 0) }, 104 }, true, false, "touches loopback (127.0.0.0/8)" },
    { { { V4(0, 0, 0, 0) }, 104 }, false, false, "touches \"this host\" (0.0.0.0/8)" },
    { { { V4(169, 254, 0, 0) }, 112 }, false, false, "touches link-local (169.254.0.0/16)" },
    { { { V4(224, 0, 0, 0) }, 100 }, false, false, "touches multicast (224.0.0.0/4)" },
    { { { V4(240, 0, 0, 0) }, 100 }, false, false, "touches reserved space (240.0.0.0/4)" },
    { { { V4(168, 63, 129, 16) }, 128 }, false, true, "is a platform's metadata address" },
    { { { V4(100, 100, 100, 200) }, 128 }, false, true, "is a platform's metadata address" },
    { { { { [15] = 1 } }, 128 }, true, false, "touches loopback (::1)" },
    { { { { 0 } }, 128 }, false, false, "touches the unspecified address (::)" },
    { { { { 0xfe, 0x80 } }, 10 }, false, false, "touches link-local (fe80::/10)" },
    { { { { 0xff } }, 8 }, false, false, "touches multicast (ff00::/8)" },
    { { { { 0x00, 0x64, 0xff, 0x9b } }, 96 }, false, false, "embeds IPv4 (64:ff9b::/96)" },
    { { { { 0x00, 0x64, 0xff, 0x9b, 0, 1 } }, 48 }, false, false, "embeds IPv4 (64:ff9b:1::/48)" },
    { { { { 0x20, 0x02 } }, 16 }, false, false, "embeds IPv4 (6to4, 2002::/16)" },
    { { { { 0x20, 0x01 } }, 32 }, false, false, "embeds IPv4 (Teredo, 2001::/32)" },
    { { { { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 } }, 128 },
      false,
      true,
      "is a platform's metadata address" },
};

/* ::/96, save ::1, which has a row of its own: first 96 bits zero. */
static bool
is_v4_compatible(const cpn_addr *a)
{
    for (int i = 0; i < 12; i++)
        if (a->b[i])
            return false;
    return !(a->b[12] == 0 && a->b[13] == 0 && a->b[14] == 0 && a->b[15] == 1);
}

const char *
cpn_range_refuses_prefix(const cpn_prefix *p, bool allow_loopback)
{
    bool v4 = p->len >= 96 && cpn_addr_is_v4(&p->addr);

    for (size_t i = 0; i < CPN_COUNT(ranges); i++)
        if (!ranges[i].single && !(allow_loopback && ranges[i].loopback) &&
            cpn_prefix_overlaps(p, &ranges[i].prefix))
            return ranges[i].why;
    if (is_v4_compatible(&p->addr))
        return "embeds an IPv4 address (::/96)";
    if (v4 ? p->len < 96 + CPN_PREFIX_MIN_V4 : p->len < CPN_PREFIX_MIN_V6)
        return v4 ? "is wider than /8" : "is wider than /32";
    return NULL;
}

const char *
cpn_range_refuses_addr(const cpn_addr *a, bool allow_loopback)
{
    for (size_t i = 0; i < CPN_COUNT(ranges); i++)
        if (!(allow_loopback && ranges[i].loopback) && cpn_prefix_holds(&ranges[i].prefix, a))
            return ranges[i].why;
    return is_v4_compatible(a) ? "embeds an IPv4 address (::/96)" : NULL;
}
