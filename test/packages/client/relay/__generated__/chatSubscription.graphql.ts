/**
 * @generated SignedSource<<38574c48d8808f55d2cf81c5d6f92733>>
 * @lightSyntaxTransform
 */

/* tslint:disable */
/* eslint-disable */
// @ts-nocheck

import type { ConcreteRequest } from 'relay-runtime';
export type MessageEventType = "CAUGHT_UP" | "CHECKPOINT" | "COMMITTED" | "DELETED" | "EDITED" | "ERASED" | "MEDIA" | "PINNED" | "REACTED" | "SENT" | "UNPINNED" | "%future added value";
export type chatSubscription$variables = {
  after?: string | null | undefined;
};
export type chatSubscription$data = {
  readonly messages: {
    readonly changeSeq: number | null | undefined;
    readonly cursor: string;
    readonly message: {
      readonly clientMessageId: string | null | undefined;
      readonly conversation: {
        readonly id: string;
      };
      readonly id: string;
      readonly seq: number;
      readonly text: string | null | undefined;
    } | null | undefined;
    readonly messageId: string | null | undefined;
    readonly type: MessageEventType;
  };
};
export type chatSubscription = {
  response: chatSubscription$data;
  variables: chatSubscription$variables;
};

const node: ConcreteRequest = (function(){
var v0 = [
  {
    "defaultValue": null,
    "kind": "LocalArgument",
    "name": "after"
  }
],
v1 = {
  "alias": null,
  "args": null,
  "kind": "ScalarField",
  "name": "id",
  "storageKey": null
},
v2 = [
  {
    "alias": null,
    "args": [
      {
        "kind": "Variable",
        "name": "after",
        "variableName": "after"
      }
    ],
    "concreteType": "MessageEvent",
    "kind": "LinkedField",
    "name": "messages",
    "plural": false,
    "selections": [
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "type",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "cursor",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "changeSeq",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "messageId",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "concreteType": "Message",
        "kind": "LinkedField",
        "name": "message",
        "plural": false,
        "selections": [
          (v1/*:: as any*/),
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "seq",
            "storageKey": null
          },
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "text",
            "storageKey": null
          },
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "clientMessageId",
            "storageKey": null
          },
          {
            "alias": null,
            "args": null,
            "concreteType": "Conversation",
            "kind": "LinkedField",
            "name": "conversation",
            "plural": false,
            "selections": [
              (v1/*:: as any*/)
            ],
            "storageKey": null
          }
        ],
        "storageKey": null
      }
    ],
    "storageKey": null
  }
];
return {
  "fragment": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Fragment",
    "metadata": null,
    "name": "chatSubscription",
    "selections": (v2/*:: as any*/),
    "type": "Subscription",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Operation",
    "name": "chatSubscription",
    "selections": (v2/*:: as any*/)
  },
  "params": {
    "cacheID": "b79cb2ca46bb4d7a181d1f189fd3094a",
    "id": null,
    "metadata": {},
    "name": "chatSubscription",
    "operationKind": "subscription",
    "text": "subscription chatSubscription(\n  $after: String\n) {\n  messages(after: $after) {\n    type\n    cursor\n    changeSeq\n    messageId\n    message {\n      id\n      seq\n      text\n      clientMessageId\n      conversation {\n        id\n      }\n    }\n  }\n}\n"
  }
};
})();

(node as any).hash = "87c5e43fe9d33a9068c2e8d064667e03";

export default node;
