/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
/** The input of the mutation `requestPasswordReset`. */
export type RequestPasswordResetInput = {
  /** The email address of the account. */
  email: string;
};

/** The input of the mutation `resetPassword`. */
export type ResetPasswordInput = {
  /** The new password: 8 to 72 bytes in UTF-8. */
  newPassword: string;
  /** The token from the email. */
  token: string;
};

export type ServerInfoQueryVariables = Exact<{ [key: string]: never; }>;


export type ServerInfoQuery = { serverInfo: { features: Array<string>, limits: { messageMaxChars: number, searchQueryMaxChars: number, summaryMessagesMax: number, groupAddMax: number, attachmentMaxBytes: number, attachmentsMax: number, callPartiesMax: number } } };

export type RequestResetMutationVariables = Exact<{
  input: RequestPasswordResetInput;
}>;


export type RequestResetMutation = { requestPasswordReset: { accepted: boolean } | null };

export type ResetMutationVariables = Exact<{
  input: ResetPasswordInput;
}>;


export type ResetMutation = { resetPassword: { tokens: { accessToken: string, accessTokenExpiresAt: string, refreshToken: string | null } } | null };

export type MentionCandidatesQueryVariables = Exact<{
  id: string;
  search?: string | null | undefined;
}>;


export type MentionCandidatesQuery = { conversation: { members: { nodes: Array<{ user: { id: string, username: string, displayName: string, avatarUrl: string | null } }> } | null } | null };

export type PersonFieldsFragment = { id: string, username: string, displayName: string, avatarUrl: string | null };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}
export const PersonFieldsFragmentDoc = new TypedDocumentString(`
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}
    `, {"fragmentName":"PersonFields"}) as unknown as TypedDocumentString<PersonFieldsFragment, unknown>;
export const ServerInfoDocument = new TypedDocumentString(`
    query ServerInfo {
  serverInfo {
    features
    limits {
      messageMaxChars
      searchQueryMaxChars
      summaryMessagesMax
      groupAddMax
      attachmentMaxBytes
      attachmentsMax
      callPartiesMax
    }
  }
}
    `, {"hash":"sha256:195b3ce1e5ada9a0dc384830b693f10af4803e402078b6d40e6467e4aae1c914"}) as unknown as TypedDocumentString<ServerInfoQuery, ServerInfoQueryVariables>;
export const RequestResetDocument = new TypedDocumentString(`
    mutation RequestReset($input: RequestPasswordResetInput!) {
  requestPasswordReset(input: $input) {
    accepted
  }
}
    `, {"hash":"sha256:aa76fd7e4c1a5e979bf8a557e68c90bc5d10cf9a42081527eff69375e993ec7d"}) as unknown as TypedDocumentString<RequestResetMutation, RequestResetMutationVariables>;
export const ResetDocument = new TypedDocumentString(`
    mutation Reset($input: ResetPasswordInput!) {
  resetPassword(input: $input) {
    tokens {
      accessToken
      accessTokenExpiresAt
      refreshToken
    }
  }
}
    `, {"hash":"sha256:3395289be9fe79d9dadc240935bc6765e59672895bf211684d3e1e96fa398c5c"}) as unknown as TypedDocumentString<ResetMutation, ResetMutationVariables>;
export const MentionCandidatesDocument = new TypedDocumentString(`
    query MentionCandidates($id: ID!, $search: String) {
  conversation(id: $id) {
    members(search: $search, first: 8) {
      nodes {
        user {
          ...PersonFields
        }
      }
    }
  }
}
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}`, {"hash":"sha256:9fd8c96641defe437ec92e4c0a47901763d5178dd48f9ca75274b77b2dc391e9"}) as unknown as TypedDocumentString<MentionCandidatesQuery, MentionCandidatesQueryVariables>;