/* codec/firstbytes.h -- is this SSH or RDP, and how to say no in their own words.
 *
 * Pure functions over everything that one side has said so far. A client's bytes go to the target
 * only after YES; a target's bytes go to the client only after YES. */
#ifndef CPN_CODEC_FIRSTBYTES_H
#define CPN_CODEC_FIRSTBYTES_H

#include "base/buf.h"

/* Printable lines that may precede a server's "SSH-" (RFC 4253 4.2). */
#define CPN_FIRST_LINES_MAX 8192
/* No judgement needs more bytes than this. */
#define CPN_FIRST_MAX (CPN_FIRST_LINES_MAX + 16)

typedef enum cpn_first_answer { CPN_FIRST_NO = 0, CPN_FIRST_MORE, CPN_FIRST_YES } cpn_first_answer;

typedef enum cpn_speech { CPN_SPEECH_NONE = 0, CPN_SPEECH_SSH, CPN_SPEECH_RDP } cpn_speech;

/* Client side: "SSH-2.0-", "SSH-1.99-", or TPKT with an X.224 connection request ([MS-RDPBCGR]
 * 2.2.1.1). *speech is set when the answer is YES, else CPN_SPEECH_NONE. */
cpn_first_answer cpn_first_client(cpn_view got, cpn_speech *speech);
/* Target side: at most 8 KiB of printable lines, then "SSH-"; or TPKT with an X.224 connection
 * confirm. client: what the client's side was judged to speak; CPN_SPEECH_NONE before that, when
 * either is right (an SSH server speaks first). */
cpn_first_answer cpn_first_target(cpn_view got, cpn_speech client, cpn_speech *speech);

/* Append a whole refusal. The sentence is cut to 512 bytes, and what is not printable ASCII
 * becomes '?'. SSH: a banner and SSH_MSG_DISCONNECT 11 (by application). RDP: connection confirm
 * with RDP_NEG_FAILURE, which has no words: whatever the code in it, FreeRDP 2.11 tries three times
 * (NLA, TLS, RDP security, a connection each) and ends 0.3 s after the first with a negotiation
 * failure. CPN_LIMIT, CPN_E_NOMEM: no room. */
cpn_rc cpn_first_refuse_ssh(cpn_buf *out, const char *sentence) CPN_MUST_CHECK;
cpn_rc cpn_first_refuse_rdp(cpn_buf *out) CPN_MUST_CHECK;

#endif
