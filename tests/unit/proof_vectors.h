/* Golden proofs of a key, made by another program; docs/protocol.md describes the same claims. */
/* clang-format off: the parts stay readable. */
#ifndef CPN_TESTS_PROOF_VECTORS_H
#define CPN_TESTS_PROOF_VECTORS_H

/* The private key: bytes 00 to 1f. Its exporter, where there is one: e0 to ff. */
#define VECTOR_JKT "1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Y"

static const struct proof_vector {
    const char *meaning;
    const char *text;
    const char *method, *url, *jti;
    int64_t iat;
    const char *token; /* whose hash it has; NULL: none */
    bool exporter;
} proof_vectors[] = {
    { "a tunnel with the token \"token\", over a connection with the exporter",
      "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVkRFNBIiwiandrIjp7ImNydiI6IkVkMjU1MTkiLCJrdHki"
      "OiJPS1AiLCJ4IjoiQTZFSHZfUE9FTDRkY04wWTUwdkFtV2ZrMWpDYnBRMWZIZHlHWkJKVk1iZyJ9fQ.e"
      "yJqdGkiOiJBQUVDQXdRRkJnY0lDUW9MREEwT0R3IiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9iY"
      "XN0aW9uLmV4YW1wbGUudGVzdC92MS90dW5uZWwiLCJpYXQiOjE3MDAwMDAwMDAsImF0aCI6IlBFYWVuV"
      "3hZZGRONlFfTlQxUGlPWWZ6NEVzWnU3alJYUmxwQXNOcEJVLUEiLCJ0bHMtZXhwb3J0ZXIiOiI0T0hpN"
      "C1UbDV1Zm82ZXJyN08zdTdfRHg4dlAwOWZiMy1QbjYtX3o5X3Y4In0.GbqVhd9QPSFzTv65coyJ8A9Ez"
      "1APF3Q0EGAElCP4eCbXohvqz_TxbRsNHfJF-z73jr8NonL7Y7MfXfsUuQIBBQ",
      "GET", "https://bastion.example.test/v1/tunnel", "AAECAwQFBgcICQoLDA0ODw", 1700000000, "token", true },
    { "a request for tokens",
      "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVkRFNBIiwiandrIjp7ImNydiI6IkVkMjU1MTkiLCJrdHki"
      "OiJPS1AiLCJ4IjoiQTZFSHZfUE9FTDRkY04wWTUwdkFtV2ZrMWpDYnBRMWZIZHlHWkJKVk1iZyJ9fQ.e"
      "yJqdGkiOiJBQUVDQXdRRkJnY0lDUW9MREEwT0R3IiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vY"
      "mFzdGlvbi5leGFtcGxlLnRlc3QvYWRmcy9vYXV0aDIvdG9rZW4iLCJpYXQiOjE3MDAwMDAwMDB9.rFsU"
      "Nxwx2KC9dDVuJ-x-CwRMvxMy60PMfkOg_FPbyJK76b493rZRQzcg8nR1CIc3FAdKzukT7v26ftJHFSOh"
      "BA",
      "POST", "https://bastion.example.test/adfs/oauth2/token", "AAECAwQFBgcICQoLDA0ODw", 1700000000, NULL, false },
};

#endif
