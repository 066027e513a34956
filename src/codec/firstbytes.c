/* Judging what a client and a target say first, and refusing in SSH's and X.224's own words. */
#include "codec/firstbytes.h"

#include "codec/chars.h"

/* TPKT (4 bytes) and the fixed part of an X.224 connection request or confirm (7). */
#define TPKT_HEAD 4
#define X224_HEAD (TPKT_HEAD + 7)
#define X224_REQUEST 0xe0
#define X224_CONFIRM 0xd0
#define SENTENCE_MAX 512
#define SSH_MSG_DISCONNECT 1
#define SSH_BY_APPLICATION 11

/* Does got begin with word, or could it yet? */
static cpn_first_answer
starts(cpn_view got, const char *word)
{
    size_t n = CPN_MIN(got.n, strlen(word));

    if (n && memcmp(got.p, word, n) != 0)
        return CPN_FIRST_NO;
    return n == strlen(word) ? CPN_FIRST_YES : CPN_FIRST_MORE;
}

static cpn_first_answer
better(cpn_first_answer a, cpn_first_answer b)
{
    return a > b ? a : b;
}

/* May byte i of a connection request or confirm be what it is, given those before? The length
 * indicator is one byte, so that the TPKT length cannot exceed 5 + 254. */
static bool
x224_byte_fits(cpn_view got, size_t i, uint8_t code)
{
    uint8_t c = got.p[i];

    switch (i) {
    case 0:
        return c == 3;
    case 1:
        return c == 0;
    case 2:
        return c <= 1;
    case 3:
        return (got.p[2] << 8 | c) >= X224_HEAD && (got.p[2] << 8 | c) <= 5 + 254;
    case 4:
        return c == (got.p[2] << 8 | got.p[3]) - 5;
    case 5:
        return c == code;
    case 6:
    case 7:
        return code == X224_CONFIRM || c == 0; /* a request names no destination yet */
    case 10:
        return c == 0; /* class 0, no options */
    default:
        return true;
    }
}

static cpn_first_answer
x224_judge(cpn_view got, uint8_t code)
{
    for (size_t i = 0; i < CPN_MIN(got.n, X224_HEAD); i++)
        if (!x224_byte_fits(got, i, code))
            return CPN_FIRST_NO;
    return got.n < X224_HEAD ? CPN_FIRST_MORE : CPN_FIRST_YES;
}

/* Is this line, which is not yet "SSH-", one that an SSH server may send before it? */
static bool
line_fits(cpn_view line)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--; /* its LF came, or may be on the way */
    for (size_t i = 0; i < line.n; i++)
        if (!cpn_is_print(line.p[i]) && line.p[i] != '\t')
            return false;
    /* A web server's answer is printable too; it will never come to "SSH-". */
    return !cpn_view_starts(line, "HTTP/");
}

static cpn_first_answer
ssh_target_judge(cpn_view got)
{
    cpn_view rest = got, line;
    bool ended;

    do {
        cpn_first_answer banner = starts(rest, "SSH-");
        if (banner == CPN_FIRST_YES)
            return (size_t)(rest.p - got.p) <= CPN_FIRST_LINES_MAX ? CPN_FIRST_YES : CPN_FIRST_NO;
        ended = cpn_view_cut(rest, '\n', &line, &rest);
        if (banner != CPN_FIRST_MORE && !line_fits(line))
            return CPN_FIRST_NO;
    } while (ended);
    /* `line` is the unfinished last one. */
    if ((size_t)(line.p - got.p) > CPN_FIRST_LINES_MAX)
        return CPN_FIRST_NO;
    if (starts(line, "SSH-") == CPN_FIRST_MORE)
        return CPN_FIRST_MORE;
    return got.n >= CPN_FIRST_LINES_MAX ? CPN_FIRST_NO : CPN_FIRST_MORE;
}

static cpn_first_answer
answer(cpn_first_answer ssh, cpn_first_answer rdp, cpn_speech *speech)
{
    *speech = ssh == CPN_FIRST_YES   ? CPN_SPEECH_SSH
              : rdp == CPN_FIRST_YES ? CPN_SPEECH_RDP
                                     : CPN_SPEECH_NONE;
    return better(ssh, rdp);
}

cpn_first_answer
cpn_first_client(cpn_view got, cpn_speech *speech)
{
    return answer(better(starts(got, "SSH-2.0-"), starts(got, "SSH-1.99-")),
                  x224_judge(got, X224_REQUEST), speech);
}

cpn_first_answer
cpn_first_target(cpn_view got, cpn_speech client, cpn_speech *speech)
{
    return answer(client == CPN_SPEECH_RDP ? CPN_FIRST_NO : ssh_target_judge(got),
                  client == CPN_SPEECH_SSH ? CPN_FIRST_NO : x224_judge(got, X224_CONFIRM), speech);
}

static void
put32(uint8_t *at, size_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* RFC 4253 section 6: length, padding length, payload, at least 4 bytes of padding; the whole a
 * multiple of 8. Nothing is encrypted yet, so zeros are as good a padding as any. */
cpn_rc
cpn_first_refuse_ssh(cpn_buf *out, const char *sentence)
{
    static const char banner[] = "SSH-2.0-Caponier\r\n";
    size_t said = strnlen(sentence, SENTENCE_MAX);
    size_t payload = 1 + 4 + 4 + said + 4;
    size_t padding = 8 - (5 + payload) % 8;
    size_t total = sizeof(banner) - 1;
    uint8_t *at;
    cpn_rc rc;

    padding += padding < 4 ? 8 : 0;
    total += 5 + payload + padding;
    if ((rc = cpn_buf_reserve(out, total, &at)) != CPN_OK)
        return rc;
    memset(at, 0, total);
    memcpy(at, banner, sizeof(banner) - 1);
    at += sizeof(banner) - 1;
    put32(at, 1 + payload + padding);
    at[4] = (uint8_t)padding;
    at[5] = SSH_MSG_DISCONNECT;
    put32(at + 6, SSH_BY_APPLICATION);
    put32(at + 10, said);
    for (size_t i = 0; i < said; i++)
        at[14 + i] = cpn_is_print((uint8_t)sentence[i]) ? (uint8_t)sentence[i] : '?';
    out->n += total;
    return CPN_OK;
}

cpn_rc
cpn_first_refuse_rdp(cpn_buf *out)
{
    static const uint8_t refusal[] = {
        3,  0,
        0,  19, /* TPKT */
        14, X224_CONFIRM,
        0,  0,
        0,  0,
        0, /* X.224, class 0 */
        3,  0,
        8,  0,
        2,  0,
        0,  0, /* RDP_NEG_FAILURE, SSL_NOT_ALLOWED_BY_SERVER */
    };

    return cpn_buf_append(out, (cpn_view){ refusal, sizeof(refusal) });
}
