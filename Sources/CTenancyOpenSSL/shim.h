#include <openssl/bio.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
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
static const int TENANCY_EVP_PKEY_PUBLIC_KEY = EVP_PKEY_PUBLIC_KEY;

// An OSSL_PARAM keeps the pointer to its name: Swift would give it that of a copy.
static const char *const TENANCY_PARAM_GROUP_NAME = OSSL_PKEY_PARAM_GROUP_NAME;
static const char *const TENANCY_PARAM_PUB_KEY = OSSL_PKEY_PARAM_PUB_KEY;
static const char *const TENANCY_PARAM_EC_PUB_X = OSSL_PKEY_PARAM_EC_PUB_X;
static const char *const TENANCY_PARAM_EC_PUB_Y = OSSL_PKEY_PARAM_EC_PUB_Y;
static const char *const TENANCY_PARAM_RSA_N = OSSL_PKEY_PARAM_RSA_N;
static const char *const TENANCY_PARAM_RSA_E = OSSL_PKEY_PARAM_RSA_E;
