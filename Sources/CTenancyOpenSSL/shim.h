#include <openssl/bio.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdint.h>

// Macros with casts or of other macros, which Swift does not import.
static const uint64_t TENANCY_SSL_OP_NO_COMPRESSION = SSL_OP_NO_COMPRESSION;
static const uint64_t TENANCY_SSL_OP_NO_RENEGOTIATION = SSL_OP_NO_RENEGOTIATION;
static const uint64_t TENANCY_SSL_OP_NO_TICKET = SSL_OP_NO_TICKET;
static const uint64_t TENANCY_SSL_OP_CIPHER_SERVER_PREFERENCE = SSL_OP_CIPHER_SERVER_PREFERENCE;
static const unsigned long TENANCY_X509_V_FLAG_CRL_CHECK = X509_V_FLAG_CRL_CHECK;
static const unsigned long TENANCY_X509_V_FLAG_CRL_CHECK_ALL = X509_V_FLAG_CRL_CHECK_ALL;
static const unsigned long TENANCY_X509_V_FLAG_PARTIAL_CHAIN = X509_V_FLAG_PARTIAL_CHAIN;
static const unsigned long TENANCY_XN_FLAG_RFC2253 = XN_FLAG_RFC2253;
static const unsigned long TENANCY_ASN1_STRFLGS_ESC_MSB = ASN1_STRFLGS_ESC_MSB;
static const int TENANCY_EVP_PKEY_PUBLIC_KEY = EVP_PKEY_PUBLIC_KEY;

// Engines are deprecated since OpenSSL 3, and Swift has no other word for that than a warning. It has no provider for
// keys in PKCS #11 tokens of its own, and libp11's engine is what distributions have.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// NULL, with the cause in the error queue, if there is no such engine, or it can't use the module. The caller closes it.
static inline ENGINE *tenancy_token_engine_open(const char *module, const char *pin) {
  ENGINE_load_dynamic();
  ENGINE *engine = ENGINE_by_id("pkcs11");
  if (engine == NULL) return NULL;
  // It would write to stderr what is in the error queue as well. One that does not know the word goes on as it is.
  ENGINE_ctrl_cmd_string(engine, "QUIET", NULL, 1);
  if (ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module, 0) != 1 ||
      ENGINE_ctrl_cmd_string(engine, "PIN", pin, 0) != 1 || ENGINE_init(engine) != 1) {
    ENGINE_free(engine);
    return NULL;
  }
  return engine;
}

// NULL if the token has no such key, or does not take the PIN. The caller frees it.
static inline EVP_PKEY *tenancy_token_engine_key(ENGINE *engine, const char *uri) {
  return ENGINE_load_private_key(engine, uri, NULL, NULL);
}

static inline void tenancy_token_engine_close(ENGINE *engine) {
  ENGINE_finish(engine);
  ENGINE_free(engine);
}
#pragma GCC diagnostic pop

// An OSSL_PARAM keeps the pointer to its name: Swift would give it that of a copy.
static const char *const TENANCY_PARAM_GROUP_NAME = OSSL_PKEY_PARAM_GROUP_NAME;
static const char *const TENANCY_PARAM_PUB_KEY = OSSL_PKEY_PARAM_PUB_KEY;
static const char *const TENANCY_PARAM_EC_PUB_X = OSSL_PKEY_PARAM_EC_PUB_X;
static const char *const TENANCY_PARAM_EC_PUB_Y = OSSL_PKEY_PARAM_EC_PUB_Y;
static const char *const TENANCY_PARAM_RSA_N = OSSL_PKEY_PARAM_RSA_N;
static const char *const TENANCY_PARAM_RSA_E = OSSL_PKEY_PARAM_RSA_E;
