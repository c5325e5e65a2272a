/* eslint-disable */
import * as types from './graphql.ts';



/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "query ServerInfo {\n  serverInfo {\n    features\n    limits {\n      messageMaxChars\n      searchQueryMaxChars\n      summaryMessagesMax\n      groupAddMax\n      attachmentMaxBytes\n      attachmentsMax\n      callPartiesMax\n    }\n  }\n}\n\nmutation RequestReset($input: RequestPasswordResetInput!) {\n  requestPasswordReset(input: $input) {\n    accepted\n  }\n}\n\nmutation Reset($input: ResetPasswordInput!) {\n  resetPassword(input: $input) {\n    tokens {\n      accessToken\n      accessTokenExpiresAt\n      refreshToken\n    }\n  }\n}\n\nquery MentionCandidates($id: ID!, $search: String) {\n  conversation(id: $id) {\n    members(search: $search, first: 8) {\n      nodes {\n        user {\n          ...PersonFields\n        }\n      }\n    }\n  }\n}": typeof types.ServerInfoDocument,
    "fragment PersonFields on User {\n  id\n  username\n  displayName\n  avatarUrl\n}": typeof types.PersonFieldsFragmentDoc,
};
const documents: Documents = {
    "query ServerInfo {\n  serverInfo {\n    features\n    limits {\n      messageMaxChars\n      searchQueryMaxChars\n      summaryMessagesMax\n      groupAddMax\n      attachmentMaxBytes\n      attachmentsMax\n      callPartiesMax\n    }\n  }\n}\n\nmutation RequestReset($input: RequestPasswordResetInput!) {\n  requestPasswordReset(input: $input) {\n    accepted\n  }\n}\n\nmutation Reset($input: ResetPasswordInput!) {\n  resetPassword(input: $input) {\n    tokens {\n      accessToken\n      accessTokenExpiresAt\n      refreshToken\n    }\n  }\n}\n\nquery MentionCandidates($id: ID!, $search: String) {\n  conversation(id: $id) {\n    members(search: $search, first: 8) {\n      nodes {\n        user {\n          ...PersonFields\n        }\n      }\n    }\n  }\n}": types.ServerInfoDocument,
    "fragment PersonFields on User {\n  id\n  username\n  displayName\n  avatarUrl\n}": types.PersonFieldsFragmentDoc,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "query ServerInfo {\n  serverInfo {\n    features\n    limits {\n      messageMaxChars\n      searchQueryMaxChars\n      summaryMessagesMax\n      groupAddMax\n      attachmentMaxBytes\n      attachmentsMax\n      callPartiesMax\n    }\n  }\n}\n\nmutation RequestReset($input: RequestPasswordResetInput!) {\n  requestPasswordReset(input: $input) {\n    accepted\n  }\n}\n\nmutation Reset($input: ResetPasswordInput!) {\n  resetPassword(input: $input) {\n    tokens {\n      accessToken\n      accessTokenExpiresAt\n      refreshToken\n    }\n  }\n}\n\nquery MentionCandidates($id: ID!, $search: String) {\n  conversation(id: $id) {\n    members(search: $search, first: 8) {\n      nodes {\n        user {\n          ...PersonFields\n        }\n      }\n    }\n  }\n}"): typeof import('./graphql.ts').ServerInfoDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "fragment PersonFields on User {\n  id\n  username\n  displayName\n  avatarUrl\n}"): typeof import('./graphql.ts').PersonFieldsFragmentDoc;


export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}
