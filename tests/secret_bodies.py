"""JSON in which a secret is recognised by a label beside it or by the text around it, not by its own name.

Each function takes the secret and returns what a program would send, by class, as the canary tests count
them.
"""

from __future__ import annotations

from collections.abc import Callable

Document = Callable[[str], object]

ECHOES: dict[str, Document] = {
    # Responses of validators, which repeat the input.
    "FastAPI": lambda secret: {
        "detail": [
            {
                "type": "string_too_short",
                "loc": ["body", "password"],
                "msg": "String should have at least 8 characters",
                "input": secret,
                "ctx": {"min_length": 8},
            }
        ]
    },
    "FastAPI, the input before the place": lambda secret: {
        "detail": [{"input": {"value": secret}, "type": "x", "loc": ["body", "login", "password"]}]
    },
    "FastAPI, within the context": lambda secret: {
        "detail": [{"loc": ["body", "pin"], "msg": "no", "type": "x", "ctx": {"error": {"given": secret}}}]
    },
    "FastAPI, within message and link": lambda secret: {
        "detail": [
            {
                "loc": ["query", "token"],
                "msg": f"Value error, {secret} is expired",
                "url": f"https://errors.example/{secret}",
            }
        ]
    },
    "Pydantic, the whole object": lambda secret: {
        "detail": [{"loc": ["body", "age"], "input": {"age": "x", "password": secret}}]
    },
    "Spring": lambda secret: {
        "status": 400,
        "errors": [
            {
                "codes": ["Size.login.password", "Size"],
                "arguments": [{"codes": ["login.password"], "defaultMessage": "password"}, 64, 8],
                "defaultMessage": "size must be between 8 and 64",
                "objectName": "login",
                "field": "password",
                "rejectedValue": secret,
            }
        ],
    },
    "Spring, the value before the field": lambda secret: [
        {"rejectedValue": secret, "field": "user.password"}
    ],
    "Bean Validation": lambda secret: {
        "violations": [
            {"propertyPath": "login.arg0.password", "message": f"'{secret}' is short", "invalidValue": secret}
        ]
    },
    "RESTEasy": lambda secret: {
        "parameterViolations": [{"path": "login.password", "message": "short", "value": secret}]
    },
    "express-validator 6": lambda secret: {
        "errors": [{"msg": "Invalid value", "param": "password", "value": secret, "location": "body"}]
    },
    "express-validator 7": lambda secret: {
        "errors": [{"type": "field", "msg": "short", "path": "password", "value": secret, "location": "body"}]
    },
    "FluentValidation": lambda secret: [
        {
            "PropertyName": "Password",
            "ErrorMessage": f"'{secret}' is too short.",
            "AttemptedValue": secret,
            "FormattedMessagePlaceholderValues": {"PropertyName": "Password", "PropertyValue": secret},
        }
    ],
    "ASP.NET model state": lambda secret: [
        {"Key": "Password", "Value": {"RawValue": secret, "Errors": [{"ErrorMessage": f"not {secret}"}]}}
    ],
    "ASP.NET problem details": lambda secret: {
        "title": "One or more validation errors occurred.",
        "errors": {"Password": [f"The value '{secret}' is not valid."]},
    },
    "problem details, invalid parameters": lambda secret: {
        "invalid-params": [{"name": "password", "reason": f"{secret} has been leaked"}]
    },
    "JSON Schema, ajv": lambda secret: [
        {
            "instancePath": "/login/password",
            "schemaPath": "#/properties/password/minLength",
            "keyword": "minLength",
            "params": {"limit": 8},
            "message": "must NOT have fewer than 8 characters",
            "data": secret,
        }
    ],
    "JSON Schema, ajv 6": lambda secret: [{"dataPath": ".password", "data": secret, "message": "short"}],
    "JSON Schema, Python": lambda secret: [
        {"message": f"'{secret}' does not match", "path": ["password"], "instance": secret}
    ],
    "JSON Schema, networknt": lambda secret: [{"path": "$.password", "arguments": [secret]}],
    "OpenAPI validator": lambda secret: {"errors": [{"path": "/body/password", "received": secret}]},
    "JSON:API": lambda secret: {
        "errors": [
            {
                "source": {"pointer": "/data/attributes/password"},
                "detail": f"{secret} is too common",
                "meta": {"given": secret},
            }
        ]
    },
    "JSON:API, the detail first": lambda secret: {
        "errors": [{"detail": f"not {secret}", "source": {"parameter": "access_token"}}]
    },
    "Zod": lambda secret: [
        {"code": "custom", "path": ["user", "password"], "received": secret, "message": "no"}
    ],
    "Joi": lambda secret: {
        "details": [
            {
                "message": "short",
                "path": ["password"],
                "context": {"limit": 8, "value": secret, "label": "password", "key": "password"},
            }
        ]
    },
    "Yup": lambda secret: {"path": "password", "value": secret, "params": {"originalValue": secret}},
    "class-validator": lambda secret: [
        {
            "target": {"email": "ada@example.org", "password": secret},
            "value": secret,
            "property": "password",
            "constraints": {"minLength": f"{secret} must be longer"},
        }
    ],
    "Rails": lambda secret: {"errors": {"password": [f"{secret} is too short"]}},
    "Rails, details": lambda secret: [{"attribute": "password", "type": "invalid", "value": secret}],
    "Django REST": lambda secret: {"password": [f"{secret} is entirely numeric."]},
    "Symfony": lambda secret: {
        "violations": [{"propertyPath": "password", "title": "short", "parameters": {"{{ value }}": secret}}]
    },
    "GraphQL": lambda secret: {
        "errors": [
            {"message": f"{secret} is wrong", "path": ["login", "password"], "extensions": {"got": secret}}
        ]
    },
    "gRPC": lambda secret: {
        "details": [{"fieldViolations": [{"field": "user.password", "description": f"{secret} is weak"}]}]
    },
    "Kubernetes": lambda secret: {
        "details": {"causes": [{"message": f'Invalid value: "{secret}"', "field": "spec.password"}]}
    },
}

PAIRS: dict[str, Document] = {
    "question and answer": lambda secret: {"question": "Your PIN?", "answer": secret},
    # A name and its value under two keys, in the common spellings.
    "AWS tag": lambda secret: {"Tags": [{"Key": "password", "Value": secret}]},
    "Systems Manager": lambda secret: {"Parameters": [{"Name": "/prod/DB_PASSWORD", "Value": secret}]},
    "CloudFormation": lambda secret: {"ParameterKey": "DBPassword", "ParameterValue": secret},
    "CloudFormation, the value first": lambda secret: {
        "ParameterValue": secret,
        "ParameterKey": "DBPassword",
    },
    "Elastic Beanstalk": lambda secret: {"Namespace": "a:b", "OptionName": "DB_PASSWORD", "Value": secret},
    "task definition": lambda secret: {"environment": [{"name": "API_KEY", "value": secret}]},
    "Kubernetes": lambda secret: {"env": [{"name": "DB_PASSWORD", "value": secret}]},
    "capitals": lambda secret: {"KEY": "PASSWORD", "VALUE": secret},
    "kebab-case": lambda secret: {"variable-name": "db-password", "variable-value": secret},
    "snake_case": lambda secret: {"setting_key": "db_password", "setting_value": secret},
    "no case": lambda secret: {"attributename": "password", "attributevalue": secret},
    "1Password": lambda secret: {"fields": [{"id": "password", "type": "CONCEALED", "value": secret}]},
    "label": lambda secret: {"label": "Admin password", "value": secret},
    "title": lambda secret: {"title": "API token", "text": secret},
    "variable": lambda secret: {"variable": "GITHUB_TOKEN", "value": secret},
    "variable, default": lambda secret: {"variable": "client_secret", "default": secret},
    "field, content": lambda secret: {"field": "password", "content": secret},
    "attribute, data": lambda secret: {"attribute": "password", "data": secret},
    "header": lambda secret: {"header": "X-Api-Key", "value": secret},
    "env": lambda secret: {"env": "DB_PASSWORD", "value": secret},
    "option": lambda secret: {"option": "--password", "value": secret},
    "values": lambda secret: {"name": "X-Auth-Token", "values": [secret]},
    "type": lambda secret: {"type": "password", "value": secret},
    "flag": lambda secret: {"value": secret, "isSecret": True},
    "k and v": lambda secret: {"k": "password", "v": secret},
    "list of pairs": lambda secret: {"form": [["user", "ada"], ["password", secret]]},
    "Postman": lambda secret: {"variable": [{"key": "apiKey", "value": secret, "type": "string"}]},
    "HAR": lambda secret: {"headers": [{"name": "Authorization", "value": secret}]},
    "OpenTelemetry": lambda secret: {
        "key": "http.request.header.authorization",
        "value": {"arrayValue": {"values": [{"stringValue": secret}]}},
    },
    "OpenTelemetry, the value first": lambda secret: {"value": {"stringValue": secret}, "key": "db.password"},
    "JSON Patch, the value first": lambda secret: [
        {"op": "add", "value": {"new": [secret]}, "path": "/password"}
    ],
}


def _text(around: str) -> Document:
    return lambda secret: {"text": around.replace("SECRET", secret)}


TEXTS: dict[str, Document] = {
    # A name within a text, and what follows it.
    "GraphQL": _text('mutation { login(auth: {user: "ada", password: "SECRET"}) { ok } }'),
    "GraphQL, beneath": _text('mutation { login(credentials: {user: "ada", word: "SECRET"}) { ok } }'),
    "GraphQL, a list": _text('{ f(tokens: ["a", "SECRET"]) }'),
    "JavaScript": _text("const auth = {a: {b: 'SECRET'}}"),
    "a name within a name": _text('{credentials: {password: "SECRET"}}'),
    "a name behind a name": _text('auth: token: "SECRET"'),
    "a quoted name behind a name": _text("credentials: 'token' => 'SECRET'"),
    "brackets": _text('password: ["SECRET"]'),
    "parentheses": _text("Key (token)=(SECRET) already exists"),
    "no end": _text('auth: {a: "b", c: {d: "SECRET"'),
    "an apostrophe": _text("auth: {note: it's, b: {c: SECRET}}"),
    "YAML": _text("user: ada\npassword: SECRET\n"),
    "YAML, flow": _text("{user: ada, credentials: [a, {b: SECRET}]}"),
    "YAML, beneath": _text("credentials:\n  user: ada\n  word: SECRET\nother: 1\n"),
    "YAML, a list": _text("tokens:\n  - one\n\n  - SECRET\n"),
    "YAML, a block": _text("spec:\n  password: |\n    one\n    SECRET\n  user: ada\n"),
    "YAML, folded": _text("password: >-\r\n  SECRET\r\nuser: ada\r\n"),
    "YAML, names and values": _text("env:\n- name: DB_PASSWORD\n  value: SECRET\n"),
    "YAML, values and names": _text("env:\n- value: SECRET\n  name: DB_PASSWORD\n"),
    "names and values": _text("{Key: password, Value: SECRET}"),
    "HTML": _text('<input type="text" name="password" value="SECRET">'),
    "HTML, the value first": _text('<input value="SECRET" id="x" name="password">'),
    "XML attributes": _text('<add key="db.password" value="SECRET"/>'),
    "two words": _text("pass phrase: SECRET"),
    "two words, a key": _text("the API key = SECRET"),
    "Go": _text("password := SECRET"),
    "YAML, a tag": _text("user: ada\npassword: !!str SECRET\n"),
    "YAML, an anchor": _text("password: &first SECRET\nother: *first\n"),
    "YAML, both, quoted": _text('password: &first !!str "SECRET"\n'),
    "YAML, a list with a tag": _text("tokens: !!seq\n  - SECRET\n"),
    "YAML, a block with a tag": _text("password: !!str |\n  SECRET\nuser: ada\n"),
    "YAML, a block with an anchor": _text("password: &first >-\n  SECRET\n"),
    "YAML, a block with a comment": _text("spec:\n  password: | # for today\n    SECRET\n"),
    "YAML, a comment": _text("password: # for today\n  SECRET\n"),
    "YAML, quoted in a text": _text('values: "user: ada\\npassword: |\\n  SECRET\\n"'),
    "YAML, quoted, with a tag": _text('values: "password: !!str |\\n  SECRET\\n  more\\nuser: ada"'),
}

SENTENCES: dict[str, Document] = {
    "is": _text("Password is SECRET"),
    "is, with a colon": _text("your new password is: SECRET."),
    "is, two words": _text("The pass phrase is now SECRET, keep it."),
    "was": _text("the API key was SECRET until today"),
    "set to": _text("password has been set to SECRET by ada"),
    "quoted": _text('login failed for password "SECRET"'),
    "quoted, a plain word": _text("the password is 'SECRET'"),
    "nothing between": _text("user ada with password SECRET was refused"),
    "an arrow": _text("api-key → SECRET"),
    "an arrow of letters": _text("token -> SECRET"),
    "a double arrow": _text("pass phrase⇒SECRET"),
}

COMMAND_LINES: dict[str, Document] = {
    "mysql": _text("mysql -u root -pSECRET shop"),
    "mysqldump, quoted": _text('mysqldump -h db -p"SECRET" shop > dump.sql'),
    "mariadb, over lines": _text("mariadb \\\n  -pSECRET"),
    "mysql, a long option": _text("mysql --password=SECRET -u root"),
    "an option apart": _text("deploy --api-key SECRET --verbose"),
    "curl, a user": _text("curl -u admin:SECRET https://example.org/"),
    "curl, a long option": _text('curl -s --user "admin:SECRET" https://example.org/'),
    "curl, a proxy": _text("curl --proxy-user=admin:SECRET https://example.org/"),
    "curl, a header": _text('curl -H "Authorization: Bearer SECRET" https://example.org/'),
    "curl, a header of any name": _text("curl -H 'X-Api-Key: SECRET' https://example.org/"),
    "sqlplus": _text("sqlplus -S scott/SECRET@db.example/shop"),
    "sqlplus, connect": _text("SQL> connect scott/SECRET@shop"),
    "Oracle by JDBC": _text("jdbc:oracle:thin:scott/SECRET@//db.example:1521/shop"),
    "a variable before": _text("PGPASSWORD=SECRET psql -h db"),
}

URLS: dict[str, Document] = {
    "user-info": _text("pulled from https://ada:SECRET@example.org/x"),
    "user-info without a user": _text("redis://:SECRET@cache:6379/0"),
    "a slash in the password": _text("postgres://ada:a/SECRET@db:5432/shop"),
    "a sharp in the password": _text("postgres://ada:SECRET#b@db/shop"),
    "escaped slashes": _text('sent {"hook": "https:\\/\\/ada:SECRET@example.org\\/x"} twice'),
}

COMPLAINTS: dict[str, Document] = {
    # Sentences that quote an invalid value.
    "Joi": _text('"password" with value "SECRET" fails to match the required pattern'),
    "GraphQL, a variable": _text('Variable "$password" got invalid value "SECRET"; Expected type Int.'),
    "GraphQL, beneath a variable": _text('Variable "$input" got invalid value "SECRET" at "input.pin"'),
    "MySQL, a key": _text("Duplicate entry 'SECRET' for key 'users.token'"),
    "MySQL, a column": _text("Incorrect integer value: 'SECRET' for column 'pin' at row 1"),
    "ASP.NET": _text("The value 'SECRET' is not valid for Password."),
    "Jackson": _text('not a valid `int` value from String "SECRET" (through reference chain: Login["pin"])'),
    "Kubernetes": _text('Account "x" is invalid: spec.password: Invalid value: "SECRET": must be longer'),
    "no quotes": _text("Invalid value SECRET for password"),
}

CLASSES: dict[str, dict[str, Document]] = {
    "validation errors": ECHOES,
    "names and values": PAIRS,
    "names in texts": TEXTS,
    "complaints": COMPLAINTS,
    "sentences": SENTENCES,
    "command lines": COMMAND_LINES,
    "URLs in texts": URLS,
}
