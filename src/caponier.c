/* caponier: the client. */
#include "client/cli.h"

int
main(int argc, char **argv)
{
    return cpn_cli_main(argc, argv);
}
