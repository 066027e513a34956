/* caponier version: ours, and of the libraries that do the work. */
#include <openssl/crypto.h>
#include <uv.h>

#include "client/out.h"

static cpn_rc
version_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = { { "caponier", "caponier" },
                                          { "openssl", "openssl" },
                                          { "libuv", "libuv" },
                                          { "jansson", "jansson" },
                                          { 0 } };
    json_auto_t *o = json_pack("{s:s, s:s, s:s, s:s}", "caponier", CPN_VERSION, "openssl",
                               OpenSSL_version(OPENSSL_VERSION_STRING), "libuv",
                               uv_version_string(), "jansson", jansson_version_str());

    return cpn_out_object(cli, o, columns, err);
}

const cpn_cmd cpn_cmd_version = {
    .name = "version",
    .brief = "Show the version, and those of the libraries",
    .flags = CPN_CMD_PRINTS,
    .examples = (const cpn_example[]){ { "caponier --version", "the same" }, { 0 } },
    .run = version_run,
};
