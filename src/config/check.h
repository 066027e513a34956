/* config/check.h -- rules between settings; private to src/config. */
#ifndef CPN_CONFIG_CHECK_H
#define CPN_CONFIG_CHECK_H

#include "codec/yaml.h"
#include "config/config.h"

/* Every broken rule becomes an error of e. root is the settings' map. */
void cpn_config_check(const cpn_config *c, const cpn_yaml_node *root, cpn_yaml_errors *e);

#endif
