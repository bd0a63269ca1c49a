/// The form of policy files, for editors. What a form can't say, `policy validate` says.
enum PolicySchema {
  static let text = #"""
    {
      "$schema": "https://json-schema.org/draft/2020-12/schema",
      "title": "Policy of a tenant",
      "type": "object",
      "required": ["apiVersion", "kind"],
      "additionalProperties": false,
      "properties": {
        "apiVersion": {"const": "tenancy/v1"},
        "kind": {"const": "Policy"},
        "roles": {"type": "array", "maxItems": 1000, "items": {"$ref": "#/$defs/role"}},
        "groups": {"type": "array", "maxItems": 1000, "items": {"$ref": "#/$defs/group"}},
        "assignments": {"type": "array", "maxItems": 100000, "items": {"$ref": "#/$defs/assignment"}},
        "tests": {"type": "array", "items": {"$ref": "#/$defs/test"}}
      },
      "$defs": {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"},
        "text": {"type": ["string", "number", "boolean"]},
        "permissions": {
          "type": "array",
          "items": {"type": "string", "pattern": "^([a-z0-9_.-]{1,64}|\\*):([a-z0-9_.-]{1,64}|\\*)$"}
        },
        "roles": {"type": "array", "items": {"$ref": "#/$defs/id"}},
        "subject": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[^ ]+$"},
        "moment": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T"},
        "role": {
          "type": "object",
          "required": ["id"],
          "additionalProperties": false,
          "properties": {
            "id": {"$ref": "#/$defs/id"},
            "title": {"$ref": "#/$defs/text"},
            "description": {"$ref": "#/$defs/text"},
            "permissions": {"$ref": "#/$defs/permissions"},
            "deniedPermissions": {"$ref": "#/$defs/permissions"},
            "parents": {"$ref": "#/$defs/roles"},
            "excludedRoles": {"$ref": "#/$defs/roles"}
          }
        },
        "group": {
          "type": "object",
          "required": ["id"],
          "additionalProperties": false,
          "properties": {
            "id": {"$ref": "#/$defs/id"},
            "title": {"$ref": "#/$defs/text"},
            "description": {"$ref": "#/$defs/text"},
            "members": {
              "type": "array",
              "items": {"anyOf": [{"$ref": "#/$defs/subject"}, {"$ref": "#/$defs/member"}]}
            }
          }
        },
        "member": {
          "type": "object",
          "required": ["subject"],
          "additionalProperties": false,
          "properties": {
            "subject": {"$ref": "#/$defs/subject"},
            "expires": {"$ref": "#/$defs/moment"}
          }
        },
        "assignment": {
          "type": "object",
          "required": ["subject", "role"],
          "additionalProperties": false,
          "properties": {
            "subject": {"$ref": "#/$defs/subject"},
            "role": {"$ref": "#/$defs/id"},
            "resource": {"$ref": "#/$defs/text"},
            "condition": {"$ref": "#/$defs/text"},
            "expires": {"$ref": "#/$defs/moment"},
            "reason": {"$ref": "#/$defs/text"}
          }
        },
        "test": {
          "type": "object",
          "required": ["name", "subject", "permission", "expect"],
          "additionalProperties": false,
          "properties": {
            "name": {"$ref": "#/$defs/text"},
            "subject": {"$ref": "#/$defs/subject"},
            "permission": {"type": "string", "pattern": "^[a-z0-9_.-]{1,64}:[a-z0-9_.-]{1,64}$"},
            "resource": {"$ref": "#/$defs/text"},
            "subjectAttributes": {"type": "object"},
            "resourceAttributes": {"type": "object"},
            "context": {"type": "object"},
            "time": {"$ref": "#/$defs/moment"},
            "expect": {"enum": ["allowed", "denied"]},
            "because": {"$ref": "#/$defs/id"}
          }
        }
      }
    }

    """#
}
