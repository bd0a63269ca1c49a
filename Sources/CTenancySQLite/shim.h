#include <sqlite3.h>

// sqlite3_db_config is variadic, which Swift does not import.
static inline int tenancy_sqlite3_configure(sqlite3 *database, int option, int value) {
  int result = 0;
  return sqlite3_db_config(database, option, value, &result);
}
